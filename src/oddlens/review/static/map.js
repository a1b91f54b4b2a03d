(() => {
  "use strict"
  const again = document.getElementById("again"), peek = document.getElementById("peek")
  if (again) setTimeout(() => location.reload(), 2000)
  if (!peek) return
  const picture = peek.querySelector("img"), words = peek.querySelector("figcaption")
  const show = event => {
    const link = event.target.closest && event.target.closest("a[data-row]")
    peek.hidden = !link
    if (!link) return
    picture.src = `small/${link.dataset.row}`
    words.textContent = link.getAttribute("aria-label")
  }
  addEventListener("pointerover", show)
  addEventListener("focusin", show)
})()
