// A zip of files that are stored as they are: wav files would hardly become smaller.

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n >>> 0;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 255];
  return (crc ^ 0xffffffff) >>> 0;
}

const DATE = 33; // 1 January 1980, the first that a zip can hold
const UTF8 = 0x800;

function header(signature, fields) {
  const bytes = new DataView(new ArrayBuffer(4 + fields.reduce((sum, [size]) => sum + size, 0)));
  bytes.setUint32(0, signature, true);
  let at = 4;
  for (const [size, value] of fields) {
    if (size === 2) bytes.setUint16(at, value, true);
    else bytes.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(bytes.buffer);
}

// files: [[path, Uint8Array], …] -> the parts of the zip, for a Blob.
export function zipOf(files) {
  const parts = [], directory = [];
  let offset = 0, length = 0;
  for (const [path, data] of files) {
    const name = new TextEncoder().encode(path);
    const common = [
      [2, 20], [2, UTF8], [2, 0], [2, 0], [2, DATE], [4, crc32(data)],
      [4, data.length], [4, data.length], [2, name.length], [2, 0],
    ];
    const local = header(0x04034b50, common);
    parts.push(local, name, data);
    const entry = header(0x02014b50, [[2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]);
    directory.push(entry, name);
    length += entry.length + name.length;
    offset += local.length + name.length + data.length;
  }
  const end = header(0x06054b50, [
    [2, 0], [2, 0], [2, files.length], [2, files.length], [4, length], [4, offset], [2, 0],
  ]);
  return [...parts, ...directory, end];
}
