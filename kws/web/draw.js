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

const TABLE = Array.from({ length: 256 }, (_, i) => colorOf(i / 255));

// An image of columns (arrays of mels, low ones first), one pixel each, as loud as `top` at most.
function imageOf(columns, mels, top, weight = () => 1) {
  const image = new ImageData(columns.length, mels);
  columns.forEach((column, x) => {
    for (let mel = 0; mel < mels; mel++) {
      const share = Math.min(1, Math.max(0, 1 - (top - column[mel]) / RANGE)) * weight(x, mel);
      image.data.set([...TABLE[Math.round(255 * share)], 255], 4 * ((mels - 1 - mel) * columns.length + x));
    }
  });
  return image;
}

function paint(canvas, image) {
  const small = new OffscreenCanvas(image.width, image.height);
  small.getContext("2d").putImageData(image, 0, 0);
  const scale = globalThis.devicePixelRatio ?? 1; // as sharp as the screen, whatever its width
  Object.assign(canvas, { width: canvas.clientWidth * scale, height: canvas.clientHeight * scale });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  return context;
}

// The last seconds, scrolling; words are written where they were detected.
export class Scroll {
  constructor(canvas, mels, columns) {
    Object.assign(this, { canvas, mels, columns: [], most: columns, top: -6, marks: [] });
  }

  push(columns) {
    this.columns.push(...columns);
    const gone = Math.max(0, this.columns.length - this.most);
    this.columns.splice(0, gone);
    this.marks = this.marks.map(([x, word]) => [x - gone, word]).filter(([x]) => x > -40);
    const loudest = Math.max(...columns.map((column) => Math.max(...column)));
    this.top = Math.max(loudest, this.top - 0.01 * columns.length, -6); // a pause is not turned up
    this.draw();
  }

  mark(word) {
    this.marks.push([this.columns.length - 1, word]);
    this.draw();
  }

  draw() {
    const empty = Array.from({ length: this.most - this.columns.length }, () => new Float32Array(this.mels).fill(-99));
    const context = paint(this.canvas, imageOf([...empty, ...this.columns], this.mels, this.top));
    const width = this.canvas.width / this.most;
    const size = 16 * (globalThis.devicePixelRatio ?? 1);
    Object.assign(context, { fillStyle: "#fff", font: `${size}px system-ui, sans-serif`, textAlign: "right" });
    for (const [x, word] of this.marks) {
      const at = (x + empty.length) * width;
      context.fillRect(at, 0, 1, this.canvas.height);
      context.fillText(word, at - size / 4, 1.1 * size);
    }
  }
}

// A second, dimmed where hiding it changed nothing. falls: of times × bands.
export function drawLooked(canvas, columns, mels, falls, grid) {
  const most = Math.max(...falls, 1e-9);
  const top = Math.max(...columns.map((column) => Math.max(...column)));
  const weight = (x, mel) => {
    const time = Math.min(grid.times - 1, Math.floor((x * grid.times) / columns.length));
    const band = Math.min(grid.bands - 1, Math.floor((mel * grid.bands) / mels));
    return 0.3 + (0.7 * falls[time * grid.bands + band]) / most;
  };
  paint(canvas, imageOf(columns, mels, top, weight));
}

// (frames × mels), row by row -> the columns first … last - 1
export function columnsOf(spectrogram, mels, first, last) {
  return Array.from({ length: last - first }, (_, i) => spectrogram.subarray((first + i) * mels, (first + i + 1) * mels));
}
