(() => {
  "use strict"
  const form = document.getElementById("grid"), boxes = [...form.querySelectorAll("input[type=checkbox]")]
  const across = () => getComputedStyle(form.querySelector(".cells")).gridTemplateColumns.split(" ").length
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return
    if (event.target.matches("input:not([type=checkbox]), select, summary, button, a") && event.key === "Enter") return
    if (event.target.matches("input:not([type=checkbox]), select")) return
    const at = boxes.indexOf(document.activeElement)
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across(), ArrowDown: across() }[event.key]
    if (by !== undefined && boxes.length) {
      const next = at < 0 ? 0 : at + by
      if (boxes[next]) { boxes[next].focus(); boxes[next].closest("li").scrollIntoView({ block: "nearest" }) }
    } else if (event.key === "o" && at >= 0) boxes[at].checked = !boxes[at].checked
    else if (event.key === "Enter" && !event.repeat && boxes.length) form.requestSubmit(form.querySelector("button[value=label]"))
    else return
    event.preventDefault()
  })
})()
