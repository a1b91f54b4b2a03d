(() => {
  "use strict"
  const list = document.querySelector(".oddlist"), tools = list.querySelector(".tools"), body = list.querySelector("tbody")
  const search = tools.querySelector("[type=search]"), only = tools.querySelector("[data-only]"), count = tools.querySelector("[role=status]")
  const cause = tools.querySelector("select"), members = tools.querySelector("[data-members]"), cut = body.querySelector(".cut")
  const heads = [...list.querySelector("thead tr").cells]
  const rows = [...body.rows].filter(node => node !== cut).map(node => {
    const name = node.querySelector(".called"), causes = node.querySelector(".causes"), copies = node.querySelector(".copies")
    const text = (name.dataset.full || name.textContent) + "\n" + (causes ? causes.textContent : "")
    const kinds = (node.dataset.c || "").split("|").filter(Boolean)
    if (copies && copies.dataset.v) kinds.push("duplicates")
    return { node, text: text.toLowerCase(), kinds, flagged: "flagged" in node.dataset }
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
    // The cut is a place in the order of the ranks alone.
    if (cut && !place && up) rows.findLast(row => row.flagged).node.after(cut)
    else if (cut) cut.remove()
    for (const other of heads) other.removeAttribute("aria-sort")
    head.setAttribute("aria-sort", up ? "ascending" : "descending")
  }
  const filter = () => {
    const wanted = search.value.trim().toLowerCase()
    let shown = 0
    for (const row of rows) {
      row.node.hidden = !row.text.includes(wanted) || Boolean(only && only.checked && !row.flagged)
        || Boolean(cause && cause.value && !row.kinds.includes(cause.value))
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
  if (cause) cause.addEventListener("change", filter)
  if (members) {
    const table = list.querySelector("table"), fold = () => {
      table.classList.toggle("few", !members.checked)
      if (cut) cut.cells[0].colSpan = heads.filter(head => members.checked || !head.matches(".member")).length
    }
    members.addEventListener("change", fold)
    fold()
  }
  // A link elsewhere in the page shows the images of one cause; those of copies stand beside each other.
  for (const link of document.querySelectorAll("a[data-show]")) link.addEventListener("click", event => {
    event.preventDefault() // following the link would take the focus away again
    search.value = ""
    if (only) only.checked = false
    cause.value = link.dataset.show
    sort(cause.value === "duplicates" && heads.find(head => head.textContent === "Copies") || heads[0], true)
    filter()
    list.scrollIntoView()
    cause.focus({ preventScroll: true })
  })
  tools.hidden = false
  filter()
})()
