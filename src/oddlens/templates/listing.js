(() => {
  "use strict"
  const list = document.querySelector(".oddlist"), tools = list.querySelector(".tools"), body = list.querySelector("tbody")
  const search = tools.querySelector("[type=search]"), only = tools.querySelector("[type=checkbox]"), count = tools.querySelector("[role=status]")
  const heads = [...list.querySelector("thead tr").cells]
  const rows = [...body.rows].map(node => {
    const name = node.querySelector(".called"), causes = node.querySelector(".causes")
    const text = (name.dataset.full || name.textContent) + "\n" + (causes ? causes.textContent : "")
    return { node, text: text.toLowerCase(), flagged: "flagged" in node.dataset }
  })
  const words = new Intl.Collator(undefined, { numeric: true })

  const sort = (head, up) => {
    const place = heads.indexOf(head), text = "text" in head.dataset
    const value = row => {
      const cell = row.node.cells[place]
      return text ? cell.textContent : cell.dataset.v === undefined ? NaN : Number(cell.dataset.v.replace("inf", "Infinity"))
    }
    const known = one => text ? one !== "" : !Number.isNaN(one)
    const keyed = rows.map(row => [value(row), row])
    // What has no value stays last either way; equals keep their order.
    keyed.sort(([one], [other]) => {
      if (!known(one) || !known(other)) return known(other) - known(one)
      const order = text ? words.compare(one, other) : one < other ? -1 : one > other ? 1 : 0
      return up ? order : -order
    })
    rows.splice(0, rows.length, ...keyed.map(([, row]) => row))
    body.append(...rows.map(row => row.node))
    for (const other of heads) other.removeAttribute("aria-sort")
    head.setAttribute("aria-sort", up ? "ascending" : "descending")
  }
  const filter = () => {
    const wanted = search.value.trim().toLowerCase()
    let shown = 0
    for (const row of rows) {
      row.node.hidden = !row.text.includes(wanted) || Boolean(only && only.checked && !row.flagged)
      shown += !row.node.hidden
    }
    count.textContent = shown.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " shown"
  }
  for (const head of heads.filter(head => head.matches("th"))) {
    const button = document.createElement("button")
    button.type = "button"
    button.append(...head.childNodes)
    head.append(button)
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort")
      sort(head, now ? now === "descending" : !("high" in head.dataset))
    })
  }
  search.addEventListener("input", filter)
  if (only) only.addEventListener("change", filter)
  tools.hidden = false
  filter()
})()
