import { html, type Hole, type Html } from '../../oauth/pages/html.js';
import { page, type Page } from '../../oauth/pages/layout.js';

/** A Client with access to this person's tools. Times are epoch seconds. */
export interface ShownConnection {
  readonly id: string;
  readonly client: string;
  /** Host or application the Client returns to; null: unknown. */
  readonly place: string | null;
  /** In plain words. */
  readonly scopes: readonly string[];
  readonly firstUsedAt: number;
  /** null: not yet. */
  readonly lastUsedAt: number | null;
  /** The Client can use nothing for now: an administrator blocked it, or has to approve it; null: it can. */
  readonly suspended: 'blocked' | 'waiting' | null;
}

/** A personal token as its owner sees it. Times are epoch seconds. */
interface ShownToken {
  readonly id: string;
  readonly name: string;
  readonly hint: string;
  readonly scopes: readonly string[];
  /** null: never. */
  readonly expiresAt: number | null;
  /** null: not yet. */
  readonly lastUsedAt: number | null;
}

/** One of the person's accounts at a provider. */
interface ShownIdentity {
  /** `<provider id> <subject>`. */
  readonly key: string;
  readonly provider: string;
  readonly account: string;
}

/** Everything the account page shows. */
export interface AccountFacts {
  readonly person: string;
  readonly email: string | null;
  readonly publicHost: string;
  readonly csrf: string;
  /** What has just been done; null: nothing. */
  readonly done: string | null;
  readonly connections: readonly ShownConnection[];
  /** Where older connections are listed; null: these are all. */
  readonly olderUrl: string | null;
  readonly tokens: readonly ShownToken[];
  /** Scopes a new token may have. */
  readonly scopes: readonly { readonly name: string; readonly words: string }[];
  readonly identities: readonly ShownIdentity[];
  readonly providers: readonly { readonly id: string; readonly label: string }[];
}

/** Lives of a new personal token, days. */
export const TOKEN_DAYS = [7, 30, 90, 365] as const;

const SUSPENDED = {
  blocked: 'Blocked by an administrator: it can do nothing for now.',
  waiting: 'Waits for an administrator: it can do nothing until it is approved.',
} as const;

/** The signed-in person's page. */
export function accountPage(facts: AccountFacts): Page {
  return page({
    title: 'My account',
    wide: true,
    body: html`${facts.done && html`<p class="person" role="status">${facts.done}</p>`}
      <p>
        You are signed in to <span class="host">${facts.publicHost}</span> as
        <strong>${facts.person}</strong
        >${facts.email !== null && facts.email !== facts.person ? html` (${facts.email})` : null}.
      </p>
      ${form('sign-out', facts, html`<button class="quiet" name="leave" value="1">Sign out</button>`)}
      ${connections(facts)} ${tokens(facts)} ${identities(facts)}`,
  });
}

function connections(facts: AccountFacts): Html {
  if (facts.connections.length === 0)
    return html`<h2>Connected applications</h2>
      <p class="soft">None. Applications that you allow to use your tools are listed here.</p>`;
  const rows = facts.connections.map(
    ({ id, client, place, scopes, firstUsedAt, lastUsedAt, suspended }) =>
      html`<tr>
        <td>
          <strong>${client}</strong
          >${place === null ? null : html`<br /><span class="small soft">returns to <span class="host">${place}</span></span>`}${suspended && html`<br /><span class="small">${SUSPENDED[suspended]}</span>`}
        </td>
        <td class="small">${scopes.length > 0 ? scopes.join(', ') : '—'}</td>
        <td class="small">
          First used ${day(firstUsedAt)}<br />Last used ${lastUsedAt === null ? 'never' : day(lastUsedAt)}
        </td>
        <td><button class="bad" name="grant" value="${id}" aria-label="Disconnect ${client}">Disconnect</button></td>
      </tr>`,
  );
  return html`<h2 id="connected">Connected applications</h2>
    ${form('disconnect', facts, table('connected', ['Application', 'May', 'Used', 'Action'], rows))}
    ${facts.olderUrl && html`<p><a href="${facts.olderUrl}">Older connections</a></p>`}
    <details>
      <summary>Disconnect all applications</summary>
      <p class="small soft">Each of them must ask you again before it can do anything.</p>
      ${form('disconnect-all', facts, html`<button class="bad" name="all" value="1">Disconnect all</button>`)}
    </details>`;
}

function tokens(facts: AccountFacts): Html {
  const rows = facts.tokens.map(
    ({ id, name, hint, scopes, expiresAt, lastUsedAt }) =>
      html`<tr>
        <td><strong>${name}</strong><br /><code>${hint}…</code></td>
        <td class="small">${scopes.length > 0 ? scopes.join(', ') : 'nothing that needs a permission'}</td>
        <td class="small">
          ${expiresAt === null ? 'Never ends' : html`Ends ${day(expiresAt)}`}<br />Last used
          ${lastUsedAt === null ? 'never' : day(lastUsedAt)}
        </td>
        <td><button class="bad" name="token" value="${id}" aria-label="Revoke ${name}">Revoke</button></td>
      </tr>`,
  );
  return html`<h2 id="tokens">Personal tokens</h2>
    <p class="small soft">For programs that cannot sign in by browser. Whoever has one acts in your name.</p>
    ${rows.length > 0 ? form('revoke', facts, table('tokens', ['Token', 'May', 'Life', 'Action'], rows)) : null}
    <details>
      <summary>New personal token</summary>
      ${form('tokens', facts, newToken(facts))}
    </details>`;
}

function newToken({ scopes }: AccountFacts): Html {
  return html`<label class="field"
      >Name <input type="text" name="name" required maxlength="100" autocomplete="off"
    /></label>
    <label class="field"
      >Life
      <select name="days">
        ${TOKEN_DAYS.map((days) => html`<option value="${days}" ${days === 30 ? SELECTED : null}>${days} days</option>`)}
      </select></label
    >
    ${
      scopes.length > 0
        ? html`<h3 class="small" id="token-scopes">It may</h3>
            <ul class="scopes" aria-labelledby="token-scopes">
              ${scopes.map(
                ({ name, words }) =>
                  html`<li>
                    <label
                      ><input type="checkbox" name="scope" value="${name}" /><span
                        >${words}${words === name ? null : html` <code>${name}</code>`}</span
                      ></label
                    >
                  </li>`,
              )}
            </ul>`
        : null
    }
    <div class="actions"><button name="make" value="1">Make token</button></div>`;
}

function identities(facts: AccountFacts): Html {
  const removable = facts.identities.length > 1;
  const rows = facts.identities.map(
    ({ key, provider, account }) =>
      html`<tr>
        <td><strong>${provider}</strong></td>
        <td class="small">${account}</td>
        <td>
          ${removable ? html`<button class="bad" name="identity" value="${key}" aria-label="Remove ${provider} account ${account}">Remove</button>` : html`<span class="small soft">The only one</span>`}
        </td>
      </tr>`,
  );
  return html`<h2 id="ways-in">Ways to sign in</h2>
    ${removable && html`<p class="small soft">Removing one disconnects the applications that were connected with it.</p>`}
    ${form('unlink', facts, table('ways-in', ['Provider', 'Account', 'Action'], rows))}
    ${
      facts.providers.length > 0
        ? html`<details>
            <summary>Add another account</summary>
            <p class="small soft">You sign in with it now. From then on both open the same account here.</p>
            ${form('link', facts, html`<div class="actions">${facts.providers.map(({ id, label }) => html`<button class="quiet" name="provider" value="${id}">Add a ${label} account</button>`)}</div>`)}
          </details>`
        : null
    }`;
}

function table(labelledBy: string, heads: readonly string[], rows: readonly Html[]): Html {
  return html`<table aria-labelledby="${labelledBy}">
    <thead>
      <tr>
        ${heads.map((head) => html`<th scope="col">${head}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`;
}

function form(action: string, { csrf }: Pick<AccountFacts, 'csrf'>, content: Hole): Html {
  return html`<form method="post" action="/account/${action}" ${action === 'sign-out' ? INLINE : null}>
    <input type="hidden" name="csrf" value="${csrf}" />${content}
  </form>`;
}

function day(at: number): Html {
  const iso = new Date(at * 1000).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC</time>`;
}

const SELECTED = html`selected`;
const INLINE = html` class="inline"`;
