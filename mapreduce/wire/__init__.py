"""What is said between hosts, and who may say it?"""
