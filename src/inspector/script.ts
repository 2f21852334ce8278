/** The one script: puts what the server sends in its place, while the page is looked at and nobody has paused it. */
export const script = `
(() => {
  const button = document.querySelector("button.live")
  let source
  const isInUse = (part) => part.contains(document.activeElement) || part.querySelector("a:hover") !== null ||
    (!getSelection().isCollapsed && getSelection().containsNode(part, true))
  const show = ({ data }) => {
    for (const [id, text] of Object.entries(JSON.parse(data))) {
      const part = document.getElementById(id)
      if (part === null || isInUse(part)) continue
      const wasOpen = part.querySelector("details")?.open === true
      part.innerHTML = text
      const details = part.querySelector("details")
      if (details !== null) details.open = wasOpen
    }
  }
  const say = () => {
    button.setAttribute("aria-pressed", String(source !== undefined))
  }
  const stop = () => {
    source?.close()
    source = undefined
  }
  const start = () => {
    stop()
    source = new EventSource(button.dataset.events)
    source.onmessage = show
  }
  let isWanted = true
  const go = () => {
    if (isWanted && !document.hidden) start()
    else stop()
    say()
  }
  if (button === null) return
  button.hidden = false
  button.addEventListener("click", () => {
    isWanted = !isWanted
    go()
  })
  document.addEventListener("visibilitychange", go)
  addEventListener("pagehide", stop)
  go()
})()
`
