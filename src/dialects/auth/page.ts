/** One small page: a title, a sentence, and perhaps a form. Readable on a phone, by a screen reader, and in the dark. */
import { Eta } from 'eta'

export type PageContent = {
  title: string
  text: string
  form?: { button: string; asksPassword?: boolean; fault?: string }
}

export type PageFrame = { product: string; token: string; action: string }

const eta = new Eta({ autoEscape: true })

const page = eta.compile(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title><% if (it.form && it.form.fault) { %>Not accepted: <% } %><%= it.title %> · <%= it.product %></title>
<style>
:root { color-scheme: light dark; --ink: #18181b; --paper: #ffffff; --ground: #f4f4f5; --line: #71717a; --accent: #1d4ed8; --on-accent: #ffffff; --fault: #b91c1c }
@media (prefers-color-scheme: dark) { :root { --ink: #f4f4f5; --paper: #18181b; --ground: #09090b; --line: #a1a1aa; --accent: #93c5fd; --on-accent: #0b1220; --fault: #fca5a5 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; min-height: 100dvh; display: grid; place-items: center; padding: 1rem; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { width: 100%; max-width: 26rem; padding: 2rem 1.5rem; border-radius: .75rem; background: var(--paper) }
h1 { margin: 0 0 .75rem; font-size: 1.375rem; line-height: 1.25 }
p { margin: 0 0 1rem }
label { display: block; margin: 0 0 1rem; font-weight: 600 }
input { display: block; width: 100%; margin-top: .25rem; padding: .75rem; border: 1px solid var(--line); border-radius: .5rem; background: transparent; color: inherit; font: inherit }
small { font-size: .875rem; font-weight: 400; color: var(--line) }
[aria-invalid] { border-color: var(--fault) }
button { width: 100%; padding: .875rem; border: 1px solid transparent; border-radius: .5rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; cursor: pointer }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.fault { color: var(--fault); font-weight: 600 }
footer { margin-top: 1.5rem; color: var(--line); font-size: .875rem }
</style>
</head>
<body>
<main>
<h1><%= it.title %></h1>
<p><%= it.text %></p>
<% if (it.form) { %>
<% if (it.form.fault) { %><p class="fault" id="fault" role="alert"><%= it.form.fault %></p><% } %>
<form method="post" action="<%= it.action %>">
<input type="hidden" name="token" value="<%= it.token %>">
<% if (it.form.asksPassword) { %>
<label>New password <small>at least 8 characters</small><input type="password" name="new_password" autocomplete="new-password" required minlength="8" maxlength="128"<% if (it.form.fault) { %> aria-describedby="fault" aria-invalid="true" autofocus<% } %>></label>
<label>Repeat the password<input type="password" name="repeated" autocomplete="new-password" required minlength="8" maxlength="128"></label>
<% } %>
<button><%= it.form.button %></button>
</form>
<% } %>
<footer><%= it.product %></footer>
</main>
</body>
</html>
`)

export const renderPage = (content: PageContent, frame: PageFrame): string =>
  page.call(eta, { form: undefined, ...content, ...frame }, {})
