// Files and folders that are dropped or chosen: [{file, folder}], folder "" where there is none.

const RECORDING = /\.(wav|flac|ogg|opus|mp3|m4a|webm|aac)$/i;

const promised = (work) => new Promise((resolve, reject) => work(resolve, reject));

// A file that the browser may not open stands for itself, empty: it is refused by name.
async function filesBelow(entry, folder) {
  const unread = () => new File([], entry.name);
  if (entry.isFile) return [{ file: await promised((done, failed) => entry.file(done, failed)).catch(unread), folder }];
  const reader = entry.createReader(), inside = [];
  for (;;) {
    const some = await promised((done, failed) => reader.readEntries(done, failed)); // a hundred at a time
    if (!some.length) break;
    inside.push(...some);
  }
  return (await Promise.all(inside.map((each) => filesBelow(each, entry.name)))).flat();
}

// Of a folder only recordings count, in the order of their names.
const sorted = (found) =>
  found
    .filter(({ file, folder }) => !folder || (RECORDING.test(file.name) && !file.name.startsWith(".")))
    .sort((a, b) => (`${a.folder}/${a.file.name}` < `${b.folder}/${b.file.name}` ? -1 : 1));

export async function filesOfDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.every(Boolean)) return sorted([...transfer.files].map((file) => ({ file, folder: "" })));
  return sorted((await Promise.all(entries.map((entry) => filesBelow(entry, "")))).flat());
}

export const filesOfInput = (files) =>
  sorted([...files].map((file) => ({ file, folder: file.webkitRelativePath.split("/").at(-2) ?? "" })));
