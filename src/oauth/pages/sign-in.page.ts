import { html, type Html } from './html.js';
import { page, type Page } from './layout.js';

/** A scope as the page offers it. */
export interface OfferedScope {
  readonly name: string;
  /** What it allows, in plain words. */
  readonly words: string;
  /** The person may leave it out. */
  readonly optional: boolean;
  /** Granted to this application before. */
  readonly granted?: boolean | undefined;
}

/** What the page shows of the application. */
export interface ShownClient {
  readonly name: string;
  /** Host that its metadata document was read from; null: it registered itself or was made by an administrator. */
  readonly documentHost: string | null;
  /** Where the browser is sent afterwards: a host, or `cursor application` for a private scheme. */
  readonly returnsTo: string;
  /** The redirect goes to a program on the person's own computer. */
  readonly loopback: boolean;
  /** An administrator made or approved it, or its document's host is the redirect's host. */
  readonly vouched: boolean;
}

/** Everything the sign-in page needs. */
export interface SignInFacts {
  readonly client: ShownClient;
  readonly scopes: readonly OfferedScope[];
  readonly providers: readonly { readonly id: string; readonly label: string }[];
  /** Extra permissions asked of a provider for the tools, in its own words. */
  readonly upstream: readonly { readonly label: string; readonly scopes: readonly string[] }[];
  /** Signed in to this browser; null: nobody. */
  readonly person: { readonly name: string; readonly account: string } | null;
  readonly csrf: string;
  readonly publicHost: string;
}

/**
 * The one page of a sign-in: who asks, where you are sent back to, what it may do, and a button for each way in (security rule 10).
 * The form posts to the page's own address, because the Interaction's id, which a cookie holds too, must not be in the markup.
 */
export function signInPage(facts: SignInFacts): Page {
  const { client, person } = facts;
  return page({
    title: person ? `Allow ${client.name}?` : `Sign in to connect ${client.name}`,
    body: html`<p>
        <strong>${client.name}</strong> wants to use the tools of <span class="host">${facts.publicHost}</span> for you.
        Afterwards you are sent back to <span class="host">${client.returnsTo}</span>.
      </p>
      ${client.documentHost && html`<p class="small soft">The application is published by <span class="host">${client.documentHost}</span>.</p>`}
      ${warnings(client)}
      <form method="post">
        <input type="hidden" name="csrf" value="${facts.csrf}" />
        ${scopeList(facts.scopes)}
        ${facts.upstream.map(({ label, scopes }) => html`<p class="small soft">${label} will also be asked for: ${scopes.map((scope) => html`<code>${scope}</code> `)}</p>`)}
        ${person ? personCard(person, client.name) : null}
        <div class="actions">
          ${person ? html`<button name="decision" value="approve">Allow</button>` : null}
          ${person ? null : facts.providers.map(({ id, label }, i) => html`<button name="provider" value="${id}" ${i > 0 ? QUIET : null}>Allow and continue with ${label}</button>`)}
          <button class="quiet" name="decision" value="deny">Do not allow</button>
        </div>
        ${person && facts.providers.length > 0 ? otherAccount(facts) : null}
      </form>`,
  });
}

const QUIET = html` class="quiet"`;

function otherAccount({ providers, person }: SignInFacts): Html {
  return html`<details>
    <summary>Not ${person?.name ?? 'you'}?</summary>
    <p class="small soft">Allow it for another account instead:</p>
    <div class="actions">
      ${providers.map(({ id, label }) => html`<button class="quiet" name="provider" value="${id}">Use another ${label} account</button>`)}
    </div>
  </details>`;
}

function personCard(person: { name: string; account: string }, client: string): Html {
  return html`<div class="person">
    <p>
      You are signed in as
      <strong>${person.name}</strong>${person.account !== person.name ? html` (${person.account})` : null}. ${client}
      will act in this name.
    </p>
  </div>`;
}

/** Scopes that the person allowed this application before stand apart, so that the difference is what they read. */
function scopeList(scopes: readonly OfferedScope[]): Html | null {
  if (scopes.length === 0) return null;
  const before = scopes.filter(({ granted }) => granted);
  const more = scopes.filter(({ granted }) => !granted);
  return html`${more.length > 0 ? listOf(more, before.length > 0 ? 'It now also asks to' : 'It asks to', 'asks') : null}
  ${before.length > 0 ? listOf(before, 'You allowed it before to', 'before') : null}
  ${scopes.some(({ optional }) => optional) ? html`<p class="small soft">What has a box is optional.</p>` : null}`;
}

function listOf(scopes: readonly OfferedScope[], heading: string, id: string): Html {
  return html`<h2 id="${id}">${heading}</h2>
    <ul class="scopes" aria-labelledby="${id}">
      ${scopes.map((scope) => html`<li>${scope.optional ? checkbox(scope) : html`${scope.words} <code>${scope.name}</code>`}</li>`)}
    </ul>`;
}

function checkbox({ name, words }: OfferedScope): Html {
  return html`<label
    ><input type="checkbox" name="scope" value="${name}" checked /><span>${words} <code>${name}</code></span></label
  >`;
}

function warnings(client: ShownClient): Html | null {
  if (client.vouched && !client.loopback) return null;
  const where = client.loopback
    ? html`It runs <strong>on this computer</strong>. `
    : html`You would be sent to <span class="host">${client.returnsTo}</span>. `;
  return html`<div class="warn" role="note">
    <p>
      ${client.vouched ? null : doubtsOf(client)}${where}Allow it only if you have just started this connection
      yourself.
    </p>
  </div>`;
}

/** A metadata document proves who published an application, never that the program asking is that application. */
function doubtsOf({ name, documentHost, loopback }: ShownClient): Html {
  if (documentHost === null) return html`Nobody has checked this application: it gave the name “${name}” itself. `;
  return loopback
    ? html`Any program on this computer can claim to be “${name}”. `
    : html`It is published by <span class="host">${documentHost}</span> but takes the answer elsewhere. `;
}
