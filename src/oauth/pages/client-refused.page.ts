import { errorPage } from './error.page.js';
import { html } from './html.js';
import type { Page } from './layout.js';
import { isDocumentUrl } from '../../protocol/client-metadata.js';

/** The application presented an id that this server does not know (real-clients R3): how to make each known client register anew. */
export function unknownClientPage(reference: string): Page {
  const resets: readonly (readonly [string, string])[] = [
    ['Claude Code', 'run /mcp, choose this server, then “Clear authentication”, and authenticate again'],
    ['Claude and ChatGPT on the web', 'remove this connector in the settings and add it again'],
    ['Cursor', 'Settings › MCP: log out of this server (or remove and add it), then connect'],
    [
      'VS Code',
      'run “Authentication: Remove Dynamic Authentication Providers” from the command palette, then start the server again',
    ],
    ['Codex', 'codex mcp logout <name>, then codex mcp login <name>'],
    ['Gemini CLI', 'run /mcp auth <name> again after deleting its entry in ~/.gemini/mcp-oauth-tokens.json'],
    ['mcp-remote', 'delete the folder ~/.mcp-auth and start it again'],
    ['MCP Inspector', 'press “Clear OAuth State” and connect again'],
  ];
  return errorPage({
    status: 400,
    title: 'This application is not known here',
    what: 'Your application presented a registration that this server does not have, perhaps because it was removed after long disuse.',
    remedy: html`<p>Make the application forget its registration; it then registers by itself.</p>
      <ul class="plain small">
        ${resets.map(([name, how]) => html`<li><strong>${name}</strong>: ${how}</li>`)}
      </ul>
      <p class="small soft">Any other application: remove this server from it and add it again.</p>`,
    reference,
  });
}

/** An administrator blocked the application: registering anew would not help. */
export function blockedClientPage(reference: string): Page {
  return errorPage({
    status: 400,
    title: 'This application is blocked here',
    what: 'An administrator has blocked this application. Connections that it has are suspended.',
    remedy: 'Ask whoever runs this server. Your connections come back when the application is let in again.',
    reference,
  });
}

/** The description that the application publishes of itself cannot be used; why is for administrators alone (security.md 24). */
export function documentPage(reference: string): Page {
  return errorPage({
    status: 400,
    title: 'This application could not be recognised',
    what: 'Applications of this kind publish a description of themselves. This server could not read it, or it is not valid.',
    remedy: 'Try again in a minute. If it happens again, give the reference below to whoever runs this server.',
    reference,
  });
}

/** Ids that are longer are shown up to this length. */
const SHOWN_ID = 300;

/** Registration is closed, and no administrator has made this application: it cannot register anew by itself, so nothing else would help. */
export function notAdmittedClientPage({ clientId, reference }: { clientId: string; reference: string }): Page {
  const shown = clientId.slice(0, SHOWN_ID);
  return errorPage({
    status: 400,
    title: 'This application is not admitted here',
    what: html`Only applications that an administrator has admitted may connect to this server. Yours, which calls
      itself <code>${shown}</code>, is not one of them.`,
    remedy: isDocumentUrl(clientId)
      ? html`<p>Ask whoever runs this server to admit <code>${shown}</code>. Then connect again.</p>`
      : html`<p>
          Ask whoever runs this server to register your application, and give it the client id that they get. An
          application that was registered here before must forget that registration first.
        </p>`,
    reference,
  });
}
