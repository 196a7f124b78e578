"""How does the report page look? Plain type; colours that the colour-blind tell apart; light and dark."""

STYLE = """
:root{--ink:#1c2530;--dim:#5d6b7a;--paper:#fff;--soft:#f4f6f8;--rule:#dde3e9;--grid:#e8edf1;
--s0:#0072b2;--s1:#009e73;--s2:#cc79a7;--s3:#56b4e9;--s4:#e69f00;--s5:#8a6fb0;--bad:#d55e00;--off:#a9b4bf}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9ee;--dim:#97a5b3;--paper:#14191f;--soft:#1d242c;--rule:#2d3741;
--grid:#252e37;--s0:#4ba3d8;--s1:#2cc295;--s2:#dd9bc0;--s3:#7cc6f0;--s4:#f0b840;--s5:#a995cc;--bad:#f07b2d;--off:#5d6b7a}}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:980px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:26px;margin:0;font-weight:650}
h2.run{font-size:19px;border-top:2px solid var(--rule);padding-top:20px;margin:36px 0 8px}
h3{font-size:16px;margin:28px 0 8px}h4{font-size:13px;font-weight:500;color:var(--dim);margin:10px 0 2px}
p{margin:4px 0 10px}.sub{color:var(--dim)}
.outcome{font-size:14px;font-weight:600;padding:3px 10px;border-radius:99px;vertical-align:middle;
background:var(--soft);color:var(--dim)}
.outcome.succeeded{color:var(--s1)}.outcome.failed,.outcome.unfinished,.outcome.stopped{color:var(--bad)}
.warn{border-left:3px solid var(--bad);background:var(--soft);padding:8px 12px;white-space:pre-wrap;
font:13px/1.45 ui-monospace,Menlo,Consolas,monospace}
.tiles{display:flex;flex-wrap:wrap;gap:1px;background:var(--rule);
border:1px solid var(--rule);border-radius:8px;overflow:hidden;margin:16px 0}
.tiles div{background:var(--paper);flex:1 1 150px;padding:10px 12px;display:flex;flex-direction:column}
.tiles b{font-weight:600;font-variant-numeric:tabular-nums}.tiles span{color:var(--dim);font-size:12px}
svg{width:100%;height:auto;display:block}
svg .label{fill:var(--dim);font-size:11px;font-variant-numeric:tabular-nums}
svg .grid{stroke:var(--grid);fill:none}svg .axis{stroke:var(--rule);fill:none}
svg .rule{stroke:var(--dim);stroke-dasharray:4 3;fill:none}
.bar,.stage0{fill:var(--s0);background:var(--s0)}.stage1{fill:var(--s1);background:var(--s1)}
.stage2{fill:var(--s2);background:var(--s2)}.stage3{fill:var(--s3);background:var(--s3)}
.stage4{fill:var(--s4);background:var(--s4)}.stage5{fill:var(--s5);background:var(--s5)}
.failed{fill:var(--bad);background:var(--bad)}.unwanted{fill:var(--off);background:var(--off)}
.running{fill:none;background:none;stroke:var(--dim);border:1px solid var(--dim)}
rect{stroke:var(--paper);stroke-width:.6}
rect.backup{stroke:var(--ink);stroke-width:1.6;stroke-dasharray:3 2}
i.backup{background:none;border:1.5px dashed var(--ink)}
.loss circle{fill:var(--paper);stroke:var(--bad);stroke-width:1.4}
.loss path{stroke:var(--bad);stroke-width:1.8;fill:none}
.area{fill:var(--s0);fill-opacity:.25;stroke:var(--s0);stroke-width:1.2}
.line{fill:none;stroke-width:2}.line.ideal{stroke:var(--off);stroke-dasharray:4 4}.dot.ideal{fill:var(--off)}
.line.amdahl{stroke:var(--s0)}.dot.amdahl{fill:var(--s0)}.line.simulated{stroke:var(--s4)}.dot.simulated{fill:var(--s4)}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:12px;color:var(--dim);margin-bottom:6px}
.legend i{display:inline-block;width:12px;height:12px;border-radius:2px;margin-right:6px;vertical-align:-1px;
box-sizing:border-box}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--dim);border-bottom:1px solid var(--rule);padding:4px 10px 4px 0}
td{border-bottom:1px solid var(--grid);padding:4px 14px 4px 0;vertical-align:top;white-space:nowrap}
td.long{white-space:normal;overflow-wrap:anywhere;min-width:180px}
ul{margin:4px 0 10px;padding-left:20px}
"""
