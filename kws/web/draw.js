// Spectrograms on canvases.

const RANGE = 11; // natural units of log power from black to the brightest color
const COLORS = [ // inferno of matplotlib, at eight places
  [0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99],
  [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164],
];

function colorOf(share) {
  const place = Math.min(0.9999, Math.max(0, share)) * (COLORS.length - 1);
  const low = Math.floor(place);
  return COLORS[low].map((c, i) => c + (place - low) * (COLORS[low + 1][i] - c));
}

const TABLE = new Uint32Array(Uint8Array.from({ length: 1024 }, (_, i) => // RGBA
  i % 4 === 3 ? 255 : colorOf((i >> 2) / 255)[i % 4]).buffer);

// An image of columns (arrays of mels, low ones first), one pixel each, as loud as `top` at most.
function imageOf(columns, mels, top, weight = () => 1) {
  const image = new ImageData(columns.length, mels), pixels = new Uint32Array(image.data.buffer);
  columns.forEach((column, x) => {
    for (let mel = 0; mel < mels; mel++) {
      const share = Math.min(1, Math.max(0, 1 - (top - column[mel]) / RANGE)) * weight(x, mel);
      pixels[(mels - 1 - mel) * columns.length + x] = TABLE[Math.round(255 * share)];
    }
  });
  return image;
}

// Pixels around the picture, for the numbers of its axes.
const BOX = { left: 54, right: 8, top: 8, bottom: 22 };
const HERTZ = [250, 500, 1000, 2000, 4000];

const melOf = (hz) => 2595 * Math.log10(1 + hz / 700);

// Where a frequency is in the picture, 0 at the bottom: bands are centered on points even in mel.
export function heightOf(hz, { mels, low, high }) {
  return ((melOf(hz) - melOf(low)) / (melOf(high) - melOf(low)) * (mels + 1) - 0.5) / mels;
}

// Seconds to write below a picture of `span` seconds: about six.
export function ticksOf(span) {
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((each) => span / each <= 7) ?? span;
  return Array.from({ length: Math.floor(span / step + 1e-9) + 1 }, (_, i) => i * step);
}

// The image, as sharp as the screen; beside it Hz, below it seconds from `start`.
function paint(canvas, image, settings, span, start = 0) {
  const small = new OffscreenCanvas(image.width, image.height);
  small.getContext("2d").putImageData(image, 0, 0);
  const scale = globalThis.devicePixelRatio ?? 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  Object.assign(canvas, { width: width * scale, height: height * scale });
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const { color, fontSize } = getComputedStyle(canvas);
  const size = parseFloat(fontSize);
  const box = { ...BOX, left: BOX.left * (size / 12), bottom: BOX.bottom * (size / 12) };
  const wide = width - box.left - box.right, tall = height - box.top - box.bottom;
  context.imageSmoothingEnabled = false;
  context.drawImage(small, box.left, box.top, wide, tall);
  Object.assign(context, { fillStyle: color, strokeStyle: color, font: `${size}px system-ui, sans-serif` });
  Object.assign(context, { textAlign: "right", textBaseline: "middle" });
  for (const hz of HERTZ) {
    const y = box.top + tall * (1 - heightOf(hz, settings));
    context.fillText(hz >= 1000 ? `${hz / 1000} kHz` : `${hz} Hz`, box.left - 6, y);
    context.fillRect(box.left - 4, y, 4, 1);
  }
  Object.assign(context, { textAlign: "center", textBaseline: "top" });
  const ticks = ticksOf(span);
  for (const seconds of ticks) {
    const x = box.left + (wide * seconds) / span;
    context.fillRect(x, box.top + tall, 1, 4);
    const text = `${+(start + seconds).toFixed(1)}`.replace("-", "−") + (seconds === ticks.at(-1) ? " s" : "");
    context.fillText(text, Math.min(x, width - context.measureText(text).width / 2), box.top + tall + 5);
  }
  return { context, box, wide, tall, size };
}

// Words at seconds of a picture, each with a line.
function writeMarks({ context, box, wide, tall, size }, marks, span) {
  Object.assign(context, { fillStyle: "#fff", font: `600 ${1.25 * size}px system-ui, sans-serif`, textAlign: "right", textBaseline: "top" });
  Object.assign(context, { strokeStyle: "#000", lineWidth: 3, lineJoin: "round" });
  marks.forEach(([seconds, word], i) => {
    const x = box.left + (wide * Math.min(seconds, span)) / span;
    context.fillRect(x, box.top, 1, tall);
    const y = box.top + 3 + (i % 2) * 1.4 * size; // neighbors do not overlap
    const left = Math.max(x - 4, box.left + context.measureText(word).width + 2);
    context.strokeText(word, left, y);
    context.fillText(word, left, y);
  });
}

const loudestOf = (columns) => columns.reduce((most, column) => column.reduce((a, b) => Math.max(a, b), most), -Infinity);

// The last seconds, scrolling; words are written where they were detected.
export class Scroll {
  constructor(canvas, settings, seconds = 3) {
    Object.assign(this, { canvas, settings, seconds, most: 100 * seconds });
    this.clear();
  }

  clear() {
    Object.assign(this, { columns: [], marks: [], top: -6 });
    this.draw();
  }

  push(columns) {
    this.columns.push(...columns);
    const gone = Math.max(0, this.columns.length - this.most);
    this.columns.splice(0, gone);
    this.marks = this.marks.map(([x, word]) => [x - gone, word]).filter(([x]) => x > -40);
    this.top = Math.max(loudestOf(columns), this.top - 0.01 * columns.length, -6); // a pause is not turned up
    this.draw();
  }

  mark(word) {
    this.marks.push([this.columns.length - 1, word]);
    this.draw();
  }

  draw() {
    const { mels } = this.settings;
    const empty = Array.from({ length: this.most - this.columns.length }, () => new Float32Array(mels).fill(-99));
    const painted = paint(this.canvas, imageOf([...empty, ...this.columns], mels, this.top), this.settings, this.seconds, -this.seconds);
    writeMarks(painted, this.marks.map(([x, word]) => [(x + empty.length) / 100, word]), this.seconds);
  }
}

// A whole recording of `span` seconds. marks: [[seconds, word], …]. Gives the margins.
export function drawWhole(canvas, columns, settings, span, marks) {
  const painted = paint(canvas, imageOf(columns, settings.mels, loudestOf(columns)), settings, span);
  writeMarks(painted, marks, span);
  return painted.box;
}

let looked = null; // what is drawn there, for another size or theme

export const redrawLooked = () => looked && drawLooked(...looked);

// A second, dimmed where hiding it changed nothing. falls: of times × bands.
export function drawLooked(canvas, columns, settings, falls) {
  looked = [canvas, columns, settings, falls];
  const { mels, explain: grid } = settings;
  const most = Math.max(...falls, 1e-9);
  const weight = (x, mel) => {
    const time = Math.min(grid.times - 1, Math.floor((x * grid.times) / columns.length));
    const band = Math.min(grid.bands - 1, Math.floor((mel * grid.bands) / mels));
    return 0.3 + (0.7 * falls[time * grid.bands + band]) / most;
  };
  paint(canvas, imageOf(columns, mels, loudestOf(columns), weight), settings, 1);
}

// (frames × mels), row by row -> the columns first … last - 1
export function columnsOf(spectrogram, mels, first, last) {
  return Array.from({ length: last - first }, (_, i) => spectrogram.subarray((first + i) * mels, (first + i + 1) * mels));
}
