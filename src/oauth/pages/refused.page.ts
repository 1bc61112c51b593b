import { html } from './html.js';
import { page, type Page } from './layout.js';

/** The reason for somebody who was let in before. */
export const NO_LONGER_ADMITTED =
  'You signed in here before, but the rules of this server no longer let this account in.';

/** Why somebody who proved who they are may not come in. */
export interface Refusal {
  /** The account they used, as the person would recognise it. */
  readonly account: string;
  /** The provider's label. */
  readonly provider: string;
  /** Ours, safe to show. */
  readonly reason: string;
  readonly csrf: string;
  readonly reference: string;
  /** The Interaction's page, from the address this is shown at: `./` from `<Interaction>/continue`, empty on the page itself. */
  readonly pageAt: './' | '';
}

/** The sign-in worked, or did before, but no rule admits the person: says which account was used and whom to ask. */
export function refusedPage(refusal: Refusal): Page {
  return page({
    status: 403,
    title: 'You are signed in, but not let in',
    body: html`<p>You used the ${refusal.provider} account <strong>${refusal.account}</strong>.</p>
      <p>${refusal.reason}</p>
      <h2>What you can do</h2>
      <p>
        Choose another account, or ask whoever runs this server to let this account in. Give them the reference
        <code>${refusal.reference}</code>.
      </p>
      <div class="actions">
        <a class="button" href="${refusal.pageAt}?another=1">Use another account</a>
        <form method="post" action="${refusal.pageAt}?another=1">
          <input type="hidden" name="csrf" value="${refusal.csrf}" /><button
            class="quiet"
            name="decision"
            value="leave"
          >
            Go back to the application
          </button>
        </form>
      </div>`,
  });
}

/** The application waits for an administrator (`GATEHOUSE_REGISTRATION=approval`). */
export function waitingPage(facts: { client: string; reference: string }): Page {
  return page({
    status: 403,
    title: 'Waiting for an administrator',
    body: html`<p>
        <strong>${facts.client}</strong> is new here. An administrator must approve it before anybody can connect it.
      </p>
      <h2>What you can do</h2>
      <p>
        Ask whoever runs this server to approve it and give them the reference <code>${facts.reference}</code>. Then try
        again.
      </p>
      <div class="actions"><a class="button quiet" href="">Try again</a></div>`,
  });
}
