// Links: lines between elements of a scene, drawn behind what the panels hold. They say nothing that a
// key does not say too, so screen readers pass them by, and a narrow page leaves them out.

const SVG = new DOMParser().parseFromString("<svg>", "text/html").body.firstChild.namespaceURI;

function makeSvg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function selectorOf(keys) {
  return keys.map((key) => `[data-key~="${CSS.escape(key)}"]`).join(",");
}

function drawLink(a, b, frame, isLit, label) {
  const isBelow = b.top > a.bottom;
  const isAbove = b.bottom < a.top;
  const isUpright = isBelow || isAbove;
  const [x1, x2] = isUpright ? [(a.left + a.right) / 2, (b.left + b.right) / 2]
    : b.left > a.right ? [a.right, b.left] : [a.left, b.right];
  const [y1, y2] = isBelow ? [a.bottom, b.top] : isAbove ? [a.top, b.bottom]
    : [(a.top + a.bottom) / 2, (b.top + b.bottom) / 2];
  const [startX, startY, endX, endY] = [x1 - frame.left, y1 - frame.top, x2 - frame.left, y2 - frame.top];
  const [middleX, middleY] = [(startX + endX) / 2, (startY + endY) / 2];
  const bend = isUpright ? `${startX} ${middleY} ${endX} ${middleY}` : `${middleX} ${startY} ${middleX} ${endY}`;
  const group = makeSvg("g", { class: isLit ? "xip-link xip-lit" : "xip-link" },
                        makeSvg("path", { d: `M ${startX} ${startY} C ${bend} ${endX} ${endY}` }),
                        makeSvg("circle", { cx: endX, cy: endY, r: 3 }));
  if (label) group.append(makeSvg("text", { x: middleX, y: middleY }, label));
  return group;
}

function drawLinks(picture, links, lit) {
  const frame = picture.getBoundingClientRect();
  return links.flatMap(([a, b, label]) => {
    const from = picture.querySelector(selectorOf([a]));
    const to = [...picture.querySelectorAll(selectorOf([b]))].find((node) => node !== from);
    if (!from || !to) return [];
    const isLit = lit.includes(a) || lit.includes(b);
    return [drawLink(from.getBoundingClientRect(), to.getBoundingClientRect(), frame, isLit, label)];
  });
}
