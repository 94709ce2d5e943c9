"use strict";

// Elements are made of text and attributes, never of markup: whoever names a sandbox writes no HTML here.

const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes = {}, ...children) {
  return dress(document.createElement(name), attributes, children);
}

function draw(name, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, name), attributes, children);
}

function dress(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Writes only what has changed, as each write costs a layout. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function set(element, key, value) {
  const text = String(value);
  if (element.getAttribute(key) !== text) element.setAttribute(key, text);
}

function byId(id) {
  return document.getElementById(id);
}

/** 12, 3.4 k, 1.23 M: three digits, powers of 1000. */
function scaled(number, unit) {
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let index = 0;
  while (number >= 999.5 && index < prefixes.length - 1) {
    number /= 1000;
    index += 1;
  }
  const digits = index === 0 || number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
  return `${number.toFixed(digits)} ${prefixes[index]}${unit}`.trimEnd();
}

const bits = (rate) => (rate === null ? "–" : scaled(rate, "bit/s"));
const perSecond = (rate) => (rate === null ? "–" : rate > 0 && rate < 1 ? "< 1/s" : `${scaled(rate, "")}/s`);
const whole = (count) => count.toLocaleString("en");

/** "1 port", "2 ports". */
function counted(count, word) {
  return `${whole(count)} ${word}${count === 1 ? "" : "s"}`;
}

function shortened(text, length) {
  const letters = Array.from(text);
  return letters.length <= length ? text : `${letters.slice(0, length - 1).join("")}…`;
}
