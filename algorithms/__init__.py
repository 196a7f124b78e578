"""Which jobs and algorithms come ready made? Their names, and where each is; nothing is loaded until it is used."""

from __future__ import annotations

JOBS: dict[str, str] = {
    "wordcount": "algorithms.wordcount:WordCount",
    "wordcount_columns": "algorithms.wordcount:WordCountColumns",
    "grep": "algorithms.grep:Grep",
    "distinct": "algorithms.distinct:Distinct",
    "sort": "algorithms.sort:SortLines",
    "sort_records": "algorithms.sort:SortRecords",
    "inverted_index": "algorithms.inverted_index:InvertedIndex",
    "ngrams": "algorithms.ngrams:NGrams",
    "cooccurrence": "algorithms.cooccurrence:CoOccurrence",
    "top_k": "algorithms.top_k:TopK",
    "histogram": "algorithms.histogram:Histogram",
    "join": "algorithms.join:Join",
    "mean_by_key": "algorithms.mean_by_key:MeanByKey",
    "summary": "algorithms.summary:Summary",
}

ESTIMATORS: dict[str, str] = {
    "linear_regression": "algorithms.linear_regression:LinearRegression",
    "ridge": "algorithms.elastic_net:Ridge",
    "lasso": "algorithms.elastic_net:Lasso",
    "elastic_net": "algorithms.elastic_net:ElasticNet",
    "ridge_cv": "algorithms.elastic_net_cv:RidgeCV",
    "lasso_cv": "algorithms.elastic_net_cv:LassoCV",
    "elastic_net_cv": "algorithms.elastic_net_cv:ElasticNetCV",
    "stepwise_regression": "algorithms.stepwise_regression:StepwiseRegression",
    "logistic_regression": "algorithms.logistic_regression:LogisticRegression",
    "kmeans": "algorithms.kmeans:KMeans",
    "gaussian_naive_bayes": "algorithms.naive_bayes:GaussianNaiveBayes",
    "multinomial_naive_bayes": "algorithms.naive_bayes_counts:MultinomialNaiveBayes",
    "complement_naive_bayes": "algorithms.naive_bayes_counts:ComplementNaiveBayes",
    "bernoulli_naive_bayes": "algorithms.naive_bayes_counts:BernoulliNaiveBayes",
    "categorical_naive_bayes": "algorithms.naive_bayes_categorical:CategoricalNaiveBayes",
    "gaussian_discriminant_analysis": "algorithms.discriminant:GaussianDiscriminantAnalysis",
    "linear_discriminant_analysis": "algorithms.discriminant:LinearDiscriminantAnalysis",
    "quadratic_discriminant_analysis": "algorithms.discriminant_quadratic:QuadraticDiscriminantAnalysis",
    "pca": "algorithms.pca:PCA",
    "whitening": "algorithms.pca:Whitening",
    "covariance": "algorithms.covariance:Covariance",
    "correlation": "algorithms.covariance:Correlation",
    "anova": "algorithms.anova:Anova",
    "summary": "algorithms.summary:SummaryStatistics",
}
