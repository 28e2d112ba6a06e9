//===- ReportStyle.h - Style sheet and script of a report ---------*- C++ -*-===//
//
// Colours: blue and orange tell curves apart for every common kind of colour blindness; classes of
// strips grow darker (lighter on dark pages), and the last two, which are bad, also change hue. No
// meaning is carried by colour alone.
//
//===----------------------------------------------------------------------===//

#ifndef NIBBLE_LIB_RUNTIME_REPORTSTYLE_H
#define NIBBLE_LIB_RUNTIME_REPORTSTYLE_H

namespace nibble::runtime::report {

inline constexpr const char *styleSheet = R"css(
:root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--ink:#1b1f24;--soft:#59626d;--edge:#dfe2e6;--grid:#e9ebee;--a:#1f6fb8;--b:#b85600;--c:#6b4fa3;
--good:#1a7a45;--watch:#8f5e00;--bad:#b3261e;--goodbg:#e8f5ed;--watchbg:#fdf3de;--badbg:#fceceb;--plainbg:#eef1f5;
--q0:#eef3f8;--q1:#d6e4f1;--q2:#b4cfe6;--q3:#86b3d8;--q4:#4f90c4;--q5:#f0a22e;--q6:#c2281f}
@media(prefers-color-scheme:dark){:root{--bg:#111418;--card:#1a1e24;--ink:#e7eaee;--soft:#a0a9b4;--edge:#2e343c;--grid:#272c33;--a:#6cb2f2;--b:#f5a355;--c:#b9a2ee;
--good:#62c98c;--watch:#edb64f;--bad:#ff8b80;--goodbg:#15281d;--watchbg:#2d2514;--badbg:#331a19;--plainbg:#1f252d;
--q0:#20272f;--q1:#233648;--q2:#27496a;--q3:#2e638f;--q4:#4a8cc4;--q5:#f0a93f;--q6:#ff6a5c}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;letter-spacing:-.01em}h2{font-size:18px;margin:36px 0 6px}
p{margin:0 0 8px}.soft,h2+p{color:var(--soft)}h2+p{max-width:75ch}
.verdict{border:1px solid var(--edge);border-left:6px solid var(--c);border-radius:10px;padding:20px 24px;background:var(--plainbg);margin:16px 0 20px}
.verdict.good{border-left-color:var(--good);background:var(--goodbg)}.verdict.watch{border-left-color:var(--watch);background:var(--watchbg)}.verdict.bad{border-left-color:var(--bad);background:var(--badbg)}
.verdict p{margin:0;max-width:95ch}.verdict .what{overflow-wrap:anywhere}
.verdict ul{margin:14px 0 0;padding:0;list-style:none}.verdict li{padding:8px 0 0 30px;position:relative;max-width:95ch}
.mark{display:inline-block;width:20px;height:20px;border-radius:50%;color:var(--card);font:700 13px/20px system-ui,sans-serif;text-align:center;background:var(--c)}
.mark.good{background:var(--good)}.mark.watch{background:var(--watch)}.mark.bad{background:var(--bad)}
li .mark{position:absolute;left:0;top:9px}h1 .mark{width:28px;height:28px;font-size:18px;line-height:28px;margin-right:10px;vertical-align:3px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}
.tile,.chart{background:var(--card);border:1px solid var(--edge);border-radius:10px}
.tile{padding:12px 16px}.tile b{display:block;font-size:22px;font-weight:600;line-height:1.3;white-space:nowrap}.tile span{color:var(--soft);font-size:13px;display:block;line-height:1.35}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));gap:14px;margin-top:10px}
.chart{margin:0;padding:12px 12px 4px}.chart:focus-visible{outline:2px solid var(--a)}
figcaption{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:13px;color:var(--soft);padding:0 4px}.t{font-weight:600;color:var(--ink);font-size:14px;flex-basis:100%}
.key:before{content:"";display:inline-block;width:16px;height:3px;border-radius:2px;background:currentColor;margin-right:6px;vertical-align:3px}
.key b{color:var(--ink);font-weight:600}.key.a{color:var(--a)}.key.b{color:var(--b)}.key.c{color:var(--c)}
svg{display:block;width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:var(--soft)}
.r{text-anchor:end}.m{text-anchor:middle}.g{stroke:var(--grid);fill:none}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.a{stroke:var(--a)}.b{stroke:var(--b)}.c{stroke:var(--c);stroke-dasharray:5 4}
circle.a{fill:var(--a)}circle.b{fill:var(--b)}circle.c{fill:var(--c)}.band{stroke:none;opacity:.22}.band.a{fill:var(--a)}.band.b{fill:var(--b)}
.cross{stroke:var(--soft);stroke-dasharray:2 2}path.stop{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:4 3}text.stop{fill:var(--bad);font-weight:600;paint-order:stroke;stroke:var(--card);stroke-width:5px}
.scroll{overflow-x:auto;border:1px solid var(--edge);border-radius:10px;background:var(--card);margin-top:10px}
table{border-collapse:collapse;width:100%;font-size:13.5px}th,td{text-align:left;padding:6px 12px;border-bottom:1px solid var(--grid);vertical-align:middle}
thead th{font-weight:600;color:var(--soft);font-size:12.5px;white-space:nowrap;position:sticky;top:0;background:var(--card)}tr:last-child td,tr:last-child th{border-bottom:0}
tbody th{font-weight:500;overflow-wrap:anywhere;min-width:110px;max-width:260px}td.n{text-align:right;white-space:nowrap}th.n{text-align:right}td.p{white-space:nowrap}td.w{width:18%;min-width:84px;padding-right:0}
.dense td,.dense tbody th{padding:2px 8px;font-size:12.5px}.dense tbody th{white-space:nowrap;overflow:hidden;text-overflow:ellipsis;max-width:210px}.dense .mark{width:15px;height:15px;font-size:10px;line-height:15px}
tr.watch th,tr.bad th{font-weight:650}tr.watch{background:var(--watchbg)}tr.bad{background:var(--badbg)}
.strip{height:18px;border-radius:3px}.dense .strip{height:14px}.spark{fill:none;stroke:var(--c);stroke-width:1.6;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.q0{fill:var(--q0)}.q1{fill:var(--q1)}.q2{fill:var(--q2)}.q3{fill:var(--q3)}.q4{fill:var(--q4)}.q5{fill:var(--q5)}.q6{fill:var(--q6)}
.legend{display:flex;flex-wrap:wrap;gap:4px 22px;font-size:12.5px;color:var(--soft);margin:8px 2px 0}.legend i{display:inline-block;width:13px;height:13px;border-radius:3px;margin:0 4px 0 9px;vertical-align:-2px;border:1px solid var(--edge)}
.bits{display:inline-block;min-width:24px;padding:0 5px;border-radius:5px;font-weight:650;text-align:center;margin-right:7px;font-size:12.5px;background:var(--plainbg);border:1px solid var(--edge)}
.b4{background:var(--a);border-color:var(--a);color:var(--card)}.b8{background:var(--q2);border-color:var(--q2);color:var(--ink)}.b32{background:var(--card)}
.share{display:flex;height:26px;border-radius:7px;overflow:hidden;border:1px solid var(--edge);margin-top:10px;font-size:12.5px;font-weight:600;line-height:24px}.share div{padding:0 8px;white-space:nowrap;overflow:hidden;min-width:2px}.share .tiny{padding:0}
.why{color:var(--soft);min-width:200px;max-width:340px}
dl{display:grid;grid-template-columns:minmax(130px,max-content) 1fr;gap:5px 22px;margin:10px 0 0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));gap:0 40px}
pre{background:var(--plainbg);border:1px solid var(--edge);border-radius:8px;padding:10px 14px;white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;margin:8px 0}
code{white-space:nowrap;font:.93em ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace}
#tip{position:fixed;display:none;pointer-events:none;background:var(--ink);color:var(--bg);font-size:12.5px;line-height:1.45;padding:5px 9px;border-radius:6px;z-index:9;white-space:pre;max-width:320px}
footer{margin-top:44px;color:var(--soft);font-size:13px;border-top:1px solid var(--edge);padding-top:12px}
@media(max-width:600px){.chart text{font-size:17px}main{padding:20px 12px 40px}.verdict{padding:16px}}
@page{margin:13mm}
@media print{:root{--bg:#fff;--card:#fff;--ink:#000;--soft:#444;--edge:#bbb;--grid:#ddd;--a:#1f6fb8;--b:#b85600;--c:#6b4fa3;--good:#1a7a45;--watch:#8f5e00;--bad:#b3261e;--goodbg:#fff;--watchbg:#fff;--badbg:#fff;--plainbg:#fff;
--q0:#eef3f8;--q1:#d6e4f1;--q2:#b4cfe6;--q3:#86b3d8;--q4:#4f90c4;--q5:#f0a22e;--q6:#c2281f}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}body{font-size:12px}main{padding:0;max-width:none}th,td{padding:4px 7px;font-size:11px}.why{min-width:150px}.chart,.tile,.verdict,tr{break-inside:avoid}h2{break-after:avoid}.charts{grid-template-columns:1fr 1fr}.scroll{overflow:visible}thead th{position:static}#tip{display:none!important}}
)css";

/// Values under the pointer, and under the arrow keys where a chart has the focus.
inline constexpr const char *script = R"js(
(()=>{const tip=document.getElementById('tip');
const show=(text,x,y)=>{tip.textContent=text;tip.style.display='block';const w=tip.offsetWidth,h=tip.offsetHeight;
tip.style.left=Math.max(4,Math.min(x+14,innerWidth-w-4))+'px';tip.style.top=(y+18+h>innerHeight?y-h-12:y+18)+'px'};
const hide=()=>{tip.style.display='none'};
const fmt=(v,p)=>p?(100*v).toFixed(2)+' %':Math.abs(v)<1e6?String(+v.toPrecision(4)):v.toPrecision(4);
const nearest=(list,x)=>{let lo=0,hi=list.length-1;while(hi-lo>1){const m=(lo+hi)>>1;list[m]<x?lo=m:hi=m}return x-list[lo]<list[hi]-x?lo:hi};
for(const f of document.querySelectorAll('[data-c]')){const d=JSON.parse(f.dataset.c),svg=f.querySelector('svg'),cross=f.querySelector('.cross'),[l,r,a,b]=d.x;let at=0;
const longest=d.s.reduce((m,s)=>s[1].length>m.length?s[1]:m,[]);
const move=(step,x,y)=>{const k=nearest(longest,step);at=k;const s=longest[k],px=l+(r-l)*(s-a)/(b-a);cross.setAttribute('transform','translate('+px+')');cross.setAttribute('visibility','visible');
show('step '+s+d.s.map(q=>'\n'+q[0]+'  '+fmt(q[2][nearest(q[1],s)],d.p)).join(''),x,y)};
svg.addEventListener('pointermove',e=>{const box=svg.getBoundingClientRect(),u=(e.clientX-box.left)/box.width*520;move(a+(b-a)*(u-l)/(r-l),e.clientX,e.clientY)});
const off=()=>{hide();cross.setAttribute('visibility','hidden')};svg.addEventListener('pointerleave',off);f.addEventListener('blur',off);
f.addEventListener('keydown',e=>{const by={ArrowLeft:-1,ArrowRight:1}[e.key];if(!by)return;e.preventDefault();at=Math.max(0,Math.min(longest.length-1,at+by));const box=svg.getBoundingClientRect();
move(longest[at],box.left+box.width*(l+(r-l)*(longest[at]-a)/(b-a))/520,box.top+20)})}
for(const s of document.querySelectorAll('[data-v]')){let v;s.addEventListener('pointermove',e=>{v=v||s.dataset.v.split(',');const steps=(s.closest('[data-steps]')||s).dataset.steps;
const box=s.getBoundingClientRect(),i=Math.max(0,Math.min(v.length-1,Math.floor((e.clientX-box.left)/box.width*v.length))),at=steps?JSON.parse(steps)[i]:0;
show(s.getAttribute('aria-label').split(':')[0]+(at?'\nto step '+at:'')+'\n'+v[i]+(s.dataset.p?' %':''),e.clientX,e.clientY)});s.addEventListener('pointerleave',hide)}
})();
)js";

} // namespace nibble::runtime::report

#endif // NIBBLE_LIB_RUNTIME_REPORTSTYLE_H
