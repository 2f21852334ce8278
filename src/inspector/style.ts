/** The one style of all pages. */
export const style = `
:root{color-scheme:light dark;
--page:#f6f7f9;--card:#fff;--text:#1b1f27;--soft:#565e6c;--line:#e1e4ea;--track:#e9ecf1;--link:#0b57b8;--on-link:#fff;
--hit:#15609f;--stale:#5596d0;--shared:#8062bd;--miss:#d5602a;--passed:#949dac;--on:#1a7f64;--good:#e4f4ee;--good-text:#0d5a45}
@media (prefers-color-scheme:dark){:root{
--page:#111418;--card:#191d23;--text:#e7eaf0;--soft:#a3acba;--line:#2b313a;--track:#2b313a;--link:#85b8ff;--on-link:#0c1524;
--hit:#4f9fe6;--stale:#9cc9f3;--shared:#a98be0;--miss:#f08a52;--passed:#727c8c;--on:#3fb68b;--good:#15352b;--good-text:#9fe3c9}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;
-webkit-text-size-adjust:100%}
header.top,main,footer{max-width:76rem;margin:0 auto;padding:0 1.5rem}
header.top{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem 1.75rem;padding-top:1.75rem;padding-bottom:1.5rem}
h1{font-size:1.25rem;line-height:1.3;margin:0;font-weight:650;letter-spacing:-.01em}
h2{font-size:1rem;line-height:1.4;margin:0;font-weight:650}
h3{font-size:.875rem;margin:1.5rem 0 .5rem;font-weight:600}
p{margin:.5rem 0}
a{color:var(--link);text-underline-offset:.2em;text-decoration-thickness:1px}
nav{display:flex;gap:1.25rem;margin-right:auto}
nav a{text-decoration:none;color:var(--soft);padding:.35rem 0;border-bottom:2px solid transparent}
nav a:hover{color:var(--text)}
nav a[aria-current]{color:var(--text);border-color:var(--link)}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:4px}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.5rem 1rem;z-index:1}
main{display:grid;gap:1.25rem;grid-template-columns:repeat(2,minmax(0,1fr))}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.375rem 1.5rem 1.5rem;min-width:0}
.full{grid-column:1/-1}
.note{color:var(--soft);margin:.125rem 0 1rem;max-width:52rem}
.empty{color:var(--soft);margin:0;padding:1.75rem 1rem;text-align:center;border:1px dashed var(--line);border-radius:8px}
.figures{padding:0}
.figures dl{display:grid;grid-template-columns:repeat(4,minmax(0,1fr))}
.figures div{padding:1.25rem 1.5rem;border-left:1px solid var(--line);min-width:0}
.figures div:first-child{border-left:0}
dl{margin:0}dt{color:var(--soft);font-size:.875rem}dd{margin:0}
.figures dd{font-size:1.75rem;line-height:1.3;font-weight:600;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.figures dd small{display:block;font-size:.8125rem;line-height:1.4;font-weight:400;letter-spacing:0;color:var(--soft)}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.5rem .75rem;border-top:1px solid var(--line);vertical-align:top}
th:first-child,td:first-child{padding-left:0}th:last-child,td:last-child{padding-right:0}
thead th{border-top:0;color:var(--soft);font-weight:500;font-size:.8125rem;padding-top:0;white-space:nowrap;vertical-align:bottom}
tbody th{font-weight:400}
.n{text-align:right;white-space:nowrap;width:1%}
th .share{margin-top:.45rem;max-width:22rem}
.wrap,code{overflow-wrap:anywhere;unicode-bidi:isolate}
code{font:.8125rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.reasons,.pairs{table-layout:fixed}.reasons th:first-child,.pairs th:first-child{width:14rem}.reasons .n{width:6rem}.reasons td p{margin:0;max-width:44rem}.reasons td p+p{margin-top:.2rem;color:var(--soft);font-size:.875rem}
.share{display:block;width:100%;min-width:3rem;height:5px;border-radius:3px}
.track{fill:var(--track)}
.hit{fill:var(--hit)}.stale{fill:var(--stale)}.shared{fill:var(--shared)}.miss{fill:var(--miss)}.passed{fill:var(--passed)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.75rem 0 1.25rem;padding:0;color:var(--soft);font-size:.8125rem}
.legend li{display:flex;align-items:center;gap:.45rem}
.swatch{width:.7rem;height:.7rem;border-radius:3px}
.chart{margin:0 0 1.5rem}
.chart figcaption,.axis{display:flex;justify-content:space-between;color:var(--soft);font-size:.8125rem;font-variant-numeric:tabular-nums}
.chart figcaption{padding-bottom:.375rem}.chart figcaption span:first-child{color:var(--text);font-weight:500}
.chart svg{display:block;width:100%;height:9rem}
.chart+.chart svg{height:5rem}
.axis{padding-top:.375rem}
.grid path{stroke:var(--line);fill:none;vector-effect:non-scaling-stroke}
.ratio{stroke:var(--hit);stroke-width:2px;stroke-linecap:round;stroke-linejoin:round;fill:none;vector-effect:non-scaling-stroke}
details summary{cursor:pointer;color:var(--soft);font-size:.875rem}
details .scroll{margin-top:.75rem}
.scroll{overflow:auto;max-height:18rem}
form{display:grid;gap:.875rem;margin:.75rem 0 0}
.request{display:grid;grid-template-columns:7rem minmax(0,1fr);gap:.75rem}
form.line{display:flex;gap:.625rem;align-items:end}form.line label{flex:1;min-width:0}
label{display:grid;gap:.3rem;font-size:.875rem;color:var(--soft)}
form.line label.check{padding:.5rem 0}label.check{display:flex;align-items:baseline;gap:.55rem}
input,select,textarea,button{font:inherit;color:var(--text)}
input:not([type=checkbox]),select,textarea{width:100%;background:var(--page);border:1px solid var(--passed);border-radius:8px;padding:.5rem .7rem}
textarea{min-height:5.5rem;resize:vertical}
input,textarea{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875rem}
button{border:1px solid var(--passed);background:var(--card);border-radius:8px;padding:.5rem 1rem;cursor:pointer;white-space:nowrap;justify-self:start}
button.main{background:var(--link);border-color:var(--link);color:var(--on-link);font-weight:550}
button:hover{filter:brightness(.96)}
.live{display:inline-flex;align-items:center;gap:.5rem;font-size:.875rem;padding:.35rem .85rem}
.live[hidden]{display:none}
.live::before{content:"";width:.55rem;height:.55rem;border-radius:50%;background:var(--passed)}
.live[aria-pressed=true]::before{background:var(--on)}
.done{background:var(--good);color:var(--good-text);border-color:transparent;padding:.85rem 1.5rem}
.facts{display:grid;align-items:baseline;grid-template-columns:max-content minmax(0,1fr);gap:.35rem 1.5rem;margin:.75rem 0 0}
.tags{list-style:none;display:flex;flex-wrap:wrap;gap:.5rem;padding:0;margin:.5rem 0 0}
.tags form{margin:0}.tags button{padding:.2rem .7rem;font-size:.8125rem;white-space:normal;overflow-wrap:anywhere;text-align:left}
.sentences{padding-left:1.25rem;margin:.75rem 0}.sentences li{margin:.35rem 0}
.hidden-value{color:var(--soft);font-style:italic}
footer{color:var(--soft);font-size:.8125rem;padding-top:1.5rem;padding-bottom:3rem}
footer p{max-width:52rem}
@media (max-width:60rem){main{grid-template-columns:minmax(0,1fr)}}
@media (max-width:44rem){
header.top,main,footer{padding-left:1rem;padding-right:1rem}
header.top{padding-top:1.25rem;padding-bottom:1.25rem}
nav{order:3;width:100%}
.live{margin-left:auto}
section{padding:1.125rem 1rem 1.25rem;border-radius:10px}
.figures{padding:0}.figures dl{grid-template-columns:repeat(2,minmax(0,1fr))}
.figures div{padding:1rem}.figures div:nth-child(odd){border-left:0}.figures div:nth-child(n+3){border-top:1px solid var(--line)}
.figures dd{font-size:1.5rem}
.wide{display:none}
.reasons tbody tr{display:grid;grid-template-columns:minmax(0,1fr) max-content;border-top:1px solid var(--line);padding:.7rem 0}
.reasons thead{display:none}.reasons th,.reasons td{border:0;padding:0;width:auto}
.reasons td:nth-child(2){grid-row:2;grid-column:1/-1;padding-top:.25rem}
th,td{padding:.5rem .4rem}
.pairs th:first-child{width:9rem}
.facts{grid-template-columns:minmax(0,1fr);gap:0}.facts dd{margin-bottom:.5rem}
}
@media (prefers-reduced-motion:no-preference){button,nav a{transition:color .12s,filter .12s}}
`
