import { html } from '../oauth/pages/html.js';
import { page, type Page } from '../oauth/pages/layout.js';

/** What a person finds who opens the server's own address. `accountUrl`: null where nobody signs in. */
export function frontPage({ mcpUrl, accountUrl }: { mcpUrl: string; accountUrl: string | null }): Page {
  return page({
    title: 'This is an MCP server',
    body: html`<p>Add this address to an application that speaks MCP, the Model Context Protocol:</p>
      <p class="host">${mcpUrl}</p>
      ${
        accountUrl === null
          ? html`<p class="soft">Whoever runs this server gives out the tokens that open it.</p>`
          : html`<p class="soft">
                The application asks you to sign in. What you have connected is on your account page.
              </p>
              <div class="actions"><a class="button quiet" href="${accountUrl}">Your account</a></div>`
      }`,
  });
}

/** An address at which there is nothing. */
export function unknownPage(): Page {
  return page({
    status: 404,
    title: 'There is nothing here',
    body: html`<p>This server has no page at this address.</p>
      <div class="actions"><a class="button quiet" href="/">What this server is</a></div>`,
  });
}
