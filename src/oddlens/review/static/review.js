(() => {
  "use strict"
  const told = document.getElementById("told"), help = document.getElementById("help")
  const tries = 6, firstWait = 400  // a label that did not arrive is sent again: after .4, .8, 1.6 ... seconds
  let busy = false

  const say = (words, bad) => { told.textContent = words; told.classList.toggle("bad", Boolean(bad)) }
  const stage = () => document.getElementById("stage")
  const pause = time => new Promise(done => setTimeout(done, time))
  const opened = () => document.querySelector("dialog[open]")

  // Small pictures are shown in squares, as they are.
  const crisp = image => image.classList.toggle("tiny", image.naturalWidth > 0 && Math.max(image.naturalWidth, image.naturalHeight) <= 96)
  const prepare = () => {
    for (const image of document.querySelectorAll("main img")) {
      if (image.complete) crisp(image)
      else image.addEventListener("load", () => crisp(image))
    }
    const here = stage()
    if (!here) return
    for (const link of [...here.querySelectorAll(".strip .now ~ li img")].slice(0, 3)) {
      new Image().src = link.getAttribute("src").replace("small/", "picture/")
    }
    // The heat map is work for the server: it is asked for once a person stays on an image.
    const heat = document.getElementById("heat")
    if (heat) {
      setTimeout(() => {
        if (stage() !== here) return
        const frame = document.getElementById("heated")
        const ask = async turn => {
          const answer = await fetch(heat.dataset.src).catch(() => null)
          if (stage() !== here) return
          if (answer && answer.ok) heat.src = heat.dataset.src  // it is kept by the browser now
          else if (answer && answer.status === 503 && turn < 5) setTimeout(ask, 1500, turn + 1)
          else frame.hidden = true
        }
        heat.addEventListener("load", () => { crisp(heat); heat.hidden = false })
        ask(0)
      }, 250)
    }
  }

  const show = (text, address) => {
    const found = new DOMParser().parseFromString(text, "text/html"), fresh = found.getElementById("main")
    if (!fresh || !found.getElementById("stage")) throw new Error("not a page of ours")
    const focused = document.activeElement && document.activeElement.closest("main") && document.activeElement.id
    const main = document.getElementById("main")
    main.replaceChildren(...[...fresh.childNodes].map(node => document.importNode(node, true)))
    document.title = found.title
    history.replaceState(null, "", address)
    if (focused && document.getElementById(focused)) document.getElementById(focused).focus()
    prepare()
  }

  // A label counts once the server has confirmed it. What it did not confirm is sent again, and said to be unsaved.
  const send = async (address, fields) => {
    for (let turn = 0; ; turn++) {
      try {
        const answer = await fetch(address, fields && { method: "POST", body: new URLSearchParams(fields), headers: { "x-part": "stage" } })
        if (answer.ok) return await answer.text()
        if (answer.status !== 503) throw Object.assign(new Error(await answer.text()), { final: true })
      } catch (error) {
        if (error.final || turn >= tries) throw error
      }
      say("Not saved yet: trying again …", true)
      await pause(firstWait * 2 ** turn)
    }
  }
  const act = async (address, fields, words) => {
    if (busy) return
    busy = true
    document.body.classList.add("busy")
    const here = stage(), query = here.dataset.query
    try {
      const text = await send(address, fields)
      show(text, fields ? `./${query}` : address)
      say(words || "")
    } catch (error) {
      say(error.final ? error.message.trim() : "Not saved: the review has ended. Start it again in the terminal, open its new address, and go on: all labels before this one are kept.", true)
    } finally {
      busy = false
      document.body.classList.remove("busy")
    }
  }
  // Nobody labels a picture that is not there to be seen yet.
  const seen = () => { const picture = document.getElementById("picture"); return !picture || picture.complete }
  const label = which => {
    const here = stage()
    if (!here || !here.dataset.row) return
    if (!seen()) { say("The image is still being loaded."); return }
    const words = { odd: "odd", normal: "normal", skip: "skipped" }[which]
    act(`label${here.dataset.query}`, [["row", here.dataset.row], ["label", which], ["ranking", here.dataset.ranking]], `Saved: ${here.dataset.name} – ${words}`)
  }
  const undo = () => act(`undo${stage().dataset.query}`, [["ranking", stage().dataset.ranking]], "Taken back. Say again what this image is.")
  const stroke = which => {
    const alike = document.getElementById("alike")
    if (!alike) return
    if (!alike.open) { alike.open = true; alike.scrollIntoView({ block: "center" }); return }
    const rows = [...alike.querySelectorAll("input[name=row]:checked")]
    if (!rows.length) { say("No image is ticked."); return }
    act(`label${stage().dataset.query}`, [...rows.map(box => ["row", box.value]), ["label", which], ["ranking", stage().dataset.ranking]], `Saved: ${rows.length} images – ${which}`)
  }
  const go = id => { const link = document.getElementById(id); if (link) act(link.getAttribute("href")) }
  const toggle = () => { if (help.open) help.close(); else help.showModal() }

  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return
    const place = event.target
    if (place.matches("input:not([type=checkbox]), select, textarea")) return
    if (event.key === "?") { event.preventDefault(); toggle(); return }
    if (opened()) return
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
    if (key === "u" && !stage()) { const button = document.getElementById("do-undo"); if (button) button.click(); return }
    if (!stage()) return
    const which = { o: "odd", n: "normal", s: "skip" }[key]
    if (which && event.shiftKey) { if (which !== "skip") stroke(which) }
    else if (which) label(which)
    else if (key === "u") undo()
    else if (key === "ArrowLeft") go("go-before")
    else if (key === "ArrowRight") go("go-after")
    else if (key === "g") { const alike = document.getElementById("alike"); if (alike) { alike.open = !alike.open; if (alike.open) alike.scrollIntoView({ block: "center" }) } }
    else return
    event.preventDefault()
  })
  addEventListener("submit", event => {
    const form = event.target, button = event.submitter
    if (!stage() || form.method !== "post" || !form.closest("main")) return
    event.preventDefault()
    if (button && button.id === "do-undo") undo()
    else if (form.closest("#alike")) stroke(button ? button.value : "normal")
    else label(button ? button.value : "skip")
  })
  addEventListener("click", event => {
    const link = event.target.closest && event.target.closest(".strip a")
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return
    event.preventDefault()
    act(link.getAttribute("href"))
  })
  addEventListener("change", event => { if (event.target.matches(".filter select")) event.target.form.submit() })
  const button = document.getElementById("help-button")
  button.hidden = false
  button.addEventListener("click", toggle)
  prepare()
})()
