"""The style sheet of the HTML page: a column on a phone, two on a desk, by day and by night."""

from __future__ import annotations

from string import Template

from vram_advisor.report.formats.palette import DARK, LIGHT, NIGHT, OUTCOMES, style_sheet

SHAPES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1120px;margin:0 auto;padding:20px 16px 40px;display:grid;gap:16px;grid-template-columns:minmax(0,1fr)}
header{padding:4px 2px}
h1{font-size:clamp(1.5rem,5vw,2.2rem);line-height:1.15;margin:0;overflow-wrap:anywhere;letter-spacing:-.02em}
h2{font-size:1.02rem;margin:0 0 12px;overflow-wrap:anywhere}
h3{font-size:.95rem;margin:18px 0 4px}
p{margin:0 0 10px;overflow-wrap:anywhere}p:last-child{margin-bottom:0}
.lead{margin:6px 0 0}
section{border:1px solid;border-radius:14px;padding:18px 16px;min-width:0}
.top{display:flex;flex-wrap:wrap;gap:12px 28px;align-items:center;margin-bottom:18px}
.badge{font-weight:750;font-size:1.35rem;line-height:1;padding:12px 16px;border-radius:10px;letter-spacing:.02em}
.figures{display:flex;flex-wrap:wrap;gap:6px 14px;margin:0}
.figures div{display:flex;flex-direction:column-reverse;justify-content:flex-end}
.figures dt{font-size:.8rem}.figures dd{margin:0;font-size:clamp(1rem,4.2vw,1.35rem);white-space:nowrap;font-weight:650;line-height:1.2}
.key{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:12px 0 0;font-size:.86rem}
.key li{display:flex;align-items:center;gap:6px}.key .picture{flex:none;width:16px}
.text{margin-top:16px}.note{margin-top:10px;font-size:.86rem}
.next{margin:0;padding-left:1.3em}.next li{margin:0 0 8px;overflow-wrap:anywhere}
.phases{margin:10px 0 0;padding-left:2em;font-size:.86rem;}
.phases li div{display:flex;justify-content:space-between;gap:12px}.phases li data{white-space:nowrap}.column{display:contents}.late{order:1}.last{order:2}
.phases .peak{font-weight:700}
code{font:.88em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
li code{padding:1px 4px;border-radius:4px}code span{display:inline-block;max-width:100%;overflow-wrap:anywhere}.step{display:block;margin-top:4px;padding:6px 10px}
pre{margin:0;padding:12px;border-radius:8px;white-space:pre-wrap;overflow-wrap:anywhere}
details{margin-top:14px;font-size:.9rem}summary{cursor:pointer;padding:4px 0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.84rem;margin-top:6px;width:100%}
th,td{text-align:left;vertical-align:top;padding:5px 12px 5px 0;border-bottom:1px solid}
.roomy{min-width:760px}td.whole,td.whole data{white-space:nowrap}
td.number,th.number{text-align:right;white-space:nowrap}
.figures dd,td.number,.key,.phases{font-variant-numeric:tabular-nums}
footer{font-size:.82rem;padding:0 2px}
ul.plain{margin:0;padding-left:1.2em}ul.plain li{overflow-wrap:anywhere;margin-bottom:4px}
:focus-visible{outline:3px solid;outline-offset:2px}
@media (max-width:360px){.picture{font-size:10.5px}.picture .small{font-size:9.5px}}
@media (min-width:860px){
main{grid-template-columns:repeat(2,minmax(0,1fr));gap:20px;padding-top:36px}.figures{gap:6px 28px}
.column{display:grid;gap:inherit;align-content:start;min-width:0}.late{order:0}
.wide,header,footer{grid-column:1/-1}section{padding:24px}
}
@media print{section{break-inside:avoid}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
COLOURS = Template(
    "body{background:$page;color:$ink}section{background:$card;border-color:$edge}"
    ".lead,.figures dt,footer,summary,.quiet{color:$soft}code,pre{background:$code}th,td{border-color:$edge}th{color:$soft}"
    + "".join(f".badge.{o}{{background:${o}_tint;color:${o}}}" for o in OUTCOMES)
    + "".join(f"td.{o}{{color:${o};font-weight:650}}" for o in OUTCOMES)
)


def page_style() -> str:
    """All rules of the page and of its pictures."""
    rules = (style_sheet(), SHAPES, COLOURS.substitute(LIGHT), NIGHT % COLOURS.substitute(DARK))
    return "\n".join(rules)
