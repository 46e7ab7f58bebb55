import { createHash } from 'node:crypto';

/* The page on which a listener grants an app a password: plain HTML that asks for nothing else and runs nothing. */

const STYLE = `
:root { color-scheme: light dark; --ground: #f6f7f9; --panel: #fff; --text: #16202b; --quiet: #4a5866; --line: #cfd6dd; --accent: #0b57a4; --on: #fff; --bad: #a31621 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #10161d; --panel: #18212b; --text: #e8edf2; --quiet: #a9b6c3; --line: #34414f; --accent: #79b8ff; --on: #10161d; --bad: #ff9a9f }
}
* { box-sizing: border-box }
body { margin: 0; padding: 1rem; background: var(--ground); color: var(--text); font: 1rem/1.45 system-ui, sans-serif }
main { max-width: 26rem; margin: 6vh auto 0 }
h1 { margin: 0 0 0.6rem; font-size: 1.3rem }
p { margin: 0.6rem 0 }
.app { overflow-wrap: anywhere }
.warning { padding: 0.6rem 0.8rem; border: 1px solid var(--line); border-left: 0.3rem solid var(--bad); border-radius: 0.4rem; background: var(--panel) }
.quiet { color: var(--quiet); font-size: 0.875rem }
[role='alert'] { color: var(--bad); font-weight: 600 }
form { display: grid; gap: 0.6rem; margin-top: 1rem }
input, button { min-height: 2.75rem; padding: 0.3rem 0.7rem; border: 1px solid var(--quiet); border-radius: 0.4rem; background: var(--panel); color: var(--text); font: inherit }
button { cursor: pointer }
.grant { border-color: var(--accent); background: var(--accent); color: var(--on); font-weight: 600 }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
`;

/** Beside what every answer has. The address lets whoever has it answer for the app: it goes to nobody as a referrer. */
export const PAGE_HEADERS = {
  'content-security-policy':
    `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; ` +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
  'x-robots-tag': 'noindex',
};

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const page = (title: string, content: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} – Balados Sync</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`;

export interface LoginPage {
  /** As the app calls itself. */
  client: string;
  /** By which a form shows that it is of this page. */
  formToken: string;
  /** What went wrong, in words. */
  message?: string | undefined;
  /** As it was typed before. */
  username?: string | undefined;
}

/** Asks for username and password; its forms go where it came from, so that a folder before it needs no mention. */
export function loginPage({ client, formToken, message, username = '' }: LoginPage): string {
  const hidden = (answer: Answer): string =>
    `<input type="hidden" name="form" value="${escapeHtml(formToken)}"><input type="hidden" name="answer" value="${answer}">`;
  return page(
    'Connect an app',
    `<p><strong class="app">${escapeHtml(client)}</strong> asks to sync with your account: to see and change your podcasts and what you have listened to. It gets a password of its own, which you can end at any time.</p>
<p class="warning">Only grant this if you yourself have just begun it in your app. If somebody sent you here, they would get into your account: refuse.</p>
${message === undefined ? '' : `<p role="alert">${escapeHtml(message)}</p>`}
<form method="post">
${hidden('grant')}
<label for="username">Username</label>
<input id="username" name="username" value="${escapeHtml(username)}" required autocomplete="username" autocapitalize="none" spellcheck="false">
<label for="password">Password</label>
<input id="password" name="password" type="password" required autocomplete="current-password">
<button class="grant">Sign in and grant</button>
</form>
<form method="post">
${hidden('refuse')}
<button>Refuse</button>
</form>
<p class="quiet">Apps say themselves what they are called. An app that is granted nothing gets nothing.</p>`,
  );
}

/** What can be answered to an app. */
export const ANSWERS = ['grant', 'refuse'] as const;
export type Answer = (typeof ANSWERS)[number];

/** What can have come of it. */
export type End = Answer | 'over' | 'foreign';

const ENDS: Record<End, [title: string, text: string]> = {
  grant: ['The app is connected', 'It fetches its password now. You can close this page and go back to it.'],
  refuse: ['The app is refused', 'It gets nothing. You can close this page.'],
  over: ['No app waits here', 'It was answered already, or its time is over. Begin again in the app.'],
  foreign: ['Nothing is granted', 'Another page than ours has sent you here with an answer, which does not count.'],
};

export const endPage = (end: End): string => page(ENDS[end][0], `<p>${ENDS[end][1]}</p>`);

/** Longest name of an app that is shown and kept, in characters. */
export const CLIENT_MAX_LENGTH = 100;

/** What an app calls itself in its User-Agent, as text of one line. */
export const clientOf = (userAgent: string | undefined): string =>
  (userAgent ?? '')
    .replace(/[^\x21-\x7e]+/g, ' ')
    .trim()
    .slice(0, CLIENT_MAX_LENGTH)
    .trim() || 'An app without a name';
