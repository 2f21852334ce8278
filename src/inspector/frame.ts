/** What is around each page. */
import { Html, html } from "./html.js"
import { script } from "./script.js"
import { style } from "./style.js"

/** Where the pages are, seen from the one that is shown: links work wherever a proxy in front has put them. */
export interface Links {
  readonly home: string
  readonly item: string
  readonly explain: string
  readonly collect: string
  readonly events: string
}

/** `last`: the last segment of the path of the inspector. `isHome`: without a slash behind it, that is where links begin. */
export const linksOf = (last: string, isHome: boolean): Links => {
  const within = isHome ? `${last}/` : ""
  return {
    home: isHome ? last : `../${last}`,
    item: `${within}item`,
    explain: `${within}explain`,
    collect: `${within}collect`,
    events: `${within}events`
  }
}

export type Where = "home" | "item" | "explain"

const titles: { readonly [Page in Where]: string } = { home: "Overview", item: "Look up", explain: "Explain" }

interface More {
  /** What a form has done. */
  readonly done?: string | undefined
  /** What is shown; `undefined`: it does not change. */
  readonly mark?: string
}

export const frame = (links: Links, where: Where, content: Html, { done, mark }: More = {}): Html =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${titles[where]} · HTTP cache</title>
<link rel="icon" href="data:,">
<style>${new Html(style)}</style>
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<header class="top">
<h1>HTTP cache</h1>
<nav aria-label="Pages">${
    (["home", "item", "explain"] as const).map((page) =>
      html`<a href="${links[page]}"${page === where && new Html(" aria-current=\"page\"")}>${titles[page]}</a>`
    )
  }</nav>
${
    mark !== undefined &&
    html`<button class="live" type="button" data-events="${links.events}?since=${mark}" aria-pressed="false" hidden>Live</button>`
  }
</header>
<main id="content">
${done !== undefined && html`<section class="full done" role="status">${done}</section>`}
${content}
</main>
<footer><p>This page shows what this process has seen. What is private, stored for one user, redacted, or the content of a response is
not shown.</p></footer>
<script>${new Html(script)}</script>
</body>
</html>
`
