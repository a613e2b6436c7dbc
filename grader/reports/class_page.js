// Tables that sort, and the search and the filter above the table of students.
"use strict";
const number = (cell) => {
  const value = parseFloat(cell.dataset.sort ?? cell.textContent.replace("–", ""));
  return Number.isNaN(value) ? null : value;
};
const compare = (a, b) => {
  const [x, y] = [number(a), number(b)];
  if (a.classList.contains("number") && (x !== null || y !== null))
    return x === null ? 1 : y === null ? -1 : x - y; // what has no number comes last
  return a.textContent.localeCompare(b.textContent, "en", { numeric: true });
};
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.ariaSort === "ascending" ? -1 : 1;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => sign * compare(a.cells[column], b.cells[column]));
      table.tBodies[0].append(...rows);
    });
  });
}
for (const table of document.querySelectorAll("table.students")) {
  const tools = document.createElement("div"), tasks = [...table.tHead.rows[0].cells].slice(2);
  tools.className = "tools";
  tools.innerHTML =
    '<input type="search" placeholder="search students" aria-label="Search students">' +
    '<select aria-label="Task"><option value="">all tasks</option></select>' +
    '<select aria-label="Points"><option value="">any points</option><option value="lost">points lost</option>' +
    '<option value="none">no points</option><option value="open">open</option></select><output class="soft"></output>';
  const [search, task, kind, count] = tools.children;
  tasks.forEach((head, at) => task.add(new Option(head.textContent, String(at + 2))));
  const matches = (cell) => ({
    "": () => true,
    lost: () => cell.classList.contains("number") && !cell.matches(".heat-4,.heat-open"),
    none: () => cell.dataset.sort === "0",
    open: () => cell.classList.contains("heat-open"),
  })[kind.value]();
  const show = () => {
    const rows = [...table.tBodies[0].rows], wanted = search.value.trim().toLowerCase();
    for (const row of rows) {
      const cells = task.value ? [row.cells[task.value]] : [...row.cells].slice(2);
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted) || !cells.some(matches);
    }
    for (const row of table.rows)
      tasks.forEach((_, at) => (row.cells[at + 2].hidden = task.value && +task.value !== at + 2));
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} students`;
  };
  tools.addEventListener("input", show);
  table.parentElement.before(tools);
  show();
}
