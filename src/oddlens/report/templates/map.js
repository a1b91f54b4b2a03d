(() => {
  "use strict"
  const map = document.querySelector(".oddmap"), stage = map.querySelector(".stage"), panel = map.querySelector(".panel")
  const across = Number(stage.dataset.across), down = Number(stage.dataset.down)
  const sheet = new Image(), canvas = document.createElement("canvas")
  const points = [...stage.querySelectorAll("[data-p]")].map((node, i) => {
    const title = node.querySelector("title"), [name, ...facts] = title.textContent.trimEnd().split("\n")
    title.remove()
    node.id = "map-" + i
    node.setAttribute("role", "option")
    node.setAttribute("aria-label", [name, ...facts].join(", "))
    node.setAttribute("aria-selected", "false")
    const [x, y] = node.dataset.p.split(" ").map(Number)
    return { node, name, facts, x, y, rank: Number(node.dataset.m), group: node.dataset.g, place: i }
  })
  const marked = points.filter(point => point.rank).sort((one, other) => one.rank - other.rank)
  const of = node => points.find(point => point.node === node)
  let chosen = null

  const draw = () => {
    if (!chosen || !sheet.complete || !sheet.naturalWidth) return
    const width = sheet.naturalWidth / across, height = sheet.naturalHeight / down
    canvas.width = canvas.height = 192
    const pen = canvas.getContext("2d")
    pen.imageSmoothingQuality = "high"
    pen.drawImage(sheet, chosen.place % across * width, Math.floor(chosen.place / across) * height, width, height, 0, 0, 192, 192)
    if (!canvas.isConnected) panel.querySelector(".thumb").replaceWith(canvas)
  }
  const choose = (point, aloud) => {
    if (!point || point === chosen) return
    for (const other of points) {
      other.node.classList.toggle("on", other === point)
      other.node.classList.toggle("kin", Boolean(point.group) && other.group === point.group)
    }
    if (chosen) chosen.node.setAttribute("aria-selected", "false")
    point.node.setAttribute("aria-selected", "true")
    stage.setAttribute("aria-activedescendant", point.node.id)
    chosen = point
    panel.setAttribute("aria-live", aloud ? "polite" : "off")
    draw()
    panel.querySelector(".called bdi").textContent = point.name
    panel.querySelector(".facts").textContent = point.facts.join("\n")
  }
  const step = (by, aloud) => {
    const place = marked.indexOf(chosen)
    choose(marked[place < 0 ? 0 : Math.min(marked.length - 1, Math.max(0, place + by))], aloud)
  }
  // The nearest point in a direction, sideways counting double.
  const towards = (dx, dy) => {
    const box = stage.getBoundingClientRect()
    let best = null, least = Infinity
    for (const point of points) {
      const x = (point.x - chosen.x) * box.width, y = (point.y - chosen.y) * box.height
      const ahead = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx)
      if (point !== chosen && ahead > 0 && aside <= 1.5 * ahead && ahead + 2 * aside < least) {
        best = point
        least = ahead + 2 * aside
      }
    }
    choose(best)
  }
  const at = event => {
    const hit = event.target.closest("[data-p]")
    if (hit) return of(hit)
    const box = stage.getBoundingClientRect()
    let best = null, least = 24
    for (const point of points) {
      const far = Math.hypot(box.left + point.x / 100 * box.width - event.clientX, box.top + point.y / 100 * box.height - event.clientY)
      if (far < least) {
        best = point
        least = far
      }
    }
    return best
  }
  const keys = {
    ArrowLeft: () => towards(-1, 0), ArrowRight: () => towards(1, 0), ArrowUp: () => towards(0, -1), ArrowDown: () => towards(0, 1),
    PageDown: () => step(1), PageUp: () => step(-1), Home: () => choose(marked[0]), End: () => choose(marked[marked.length - 1]),
  }
  stage.addEventListener("pointermove", event => choose(at(event)))
  stage.addEventListener("pointerdown", event => choose(at(event)))
  stage.addEventListener("keydown", event => {
    if (!keys[event.key] || event.altKey || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    keys[event.key]()
  })
  for (const button of panel.querySelectorAll("button")) button.addEventListener("click", () => step(Number(button.dataset.step), true))
  canvas.className = "thumb"
  canvas.setAttribute("aria-hidden", "true")
  sheet.addEventListener("load", draw)
  sheet.src = stage.dataset.sheet
  stage.setAttribute("role", "listbox")
  stage.setAttribute("aria-describedby", "map-hint")
  stage.setAttribute("tabindex", "0")
  stage.classList.add("live")
  for (const part of map.querySelectorAll("[hidden]")) part.hidden = false
  choose(of(stage.querySelector(".on")))
})()
