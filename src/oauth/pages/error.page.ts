import { html, type Hole } from './html.js';
import { page, type Page } from './layout.js';

/** What an error page tells: what happened, what to do, and the reference id that is also in the log. */
export interface PageError {
  /** Default 400. */
  readonly status?: number | undefined;
  readonly title: string;
  readonly what: Hole;
  readonly remedy: Hole;
  readonly reference: string;
}

/** The page for whatever went wrong. */
export function errorPage({ status = 400, title, what, remedy, reference }: PageError): Page {
  return page({
    status,
    title,
    body: html`<p>${what}</p>
      <h2>What you can do</h2>
      ${typeof remedy === 'string' ? html`<p>${remedy}</p>` : remedy}
      <p class="small soft">
        Reference <code>${reference}</code>. Whoever runs this server finds this attempt under it.
      </p>`,
  });
}

/** The sign-in is over: finished, denied, ten minutes old, or begun in another browser. */
export function expiredPage(reference: string): Page {
  return errorPage({
    status: 400,
    title: 'This sign-in is over',
    what: 'It was finished or refused already, is older than ten minutes, or was begun in another browser.',
    remedy: 'Go back to your application and connect again. If the application says it is connected, close this tab.',
    reference,
  });
}

/** An error that would go to an application nobody has vouched for: the person decides whether to follow (RFC 9700 §4.11.2). */
export function returnPage(facts: { what: string; returnTo: URL; reference: string }): Page {
  const { what, returnTo, reference } = facts;
  const place = returnTo.host || `${returnTo.protocol.slice(0, -1)} application`;
  return page({
    status: 400,
    title: 'Sign-in did not begin',
    body: html`<p>${what}</p>
      <p>
        You can go back to <span class="host">${place}</span>, which sent you here. If you do not know it, close this
        page.
      </p>
      <div class="actions"><a class="button quiet" href="${returnTo.href}">Go back to ${place}</a></div>
      <p class="small soft">Reference <code>${reference}</code></p>`,
  });
}

/** Every box was unticked, and nothing else was asked for. */
export function nothingChosenPage({ client, reference }: { client: { name: string }; reference: string }): Page {
  return errorPage({
    title: 'Nothing was chosen',
    what: `You took away everything that ${client.name} asked for.`,
    remedy: 'Go back one page and leave at least one box checked, or press “Do not allow”.',
    reference,
  });
}

/** The callback is still being worked on: the page asks again by itself. `continueAt`: default this page. */
export function finishingPage(continueAt = ''): Page {
  return page({
    title: 'Finishing your sign-in',
    refresh: 2,
    body: html`<p>This takes a moment longer than usual.</p>
      <div class="actions"><a class="button quiet" href="${continueAt}">Look again</a></div>`,
  });
}

/** Too many sign-ins of one address; `wait` in seconds, `remedy` goes on after "then". */
export function tooManySignInsPage({
  wait,
  remedy,
  reference,
}: {
  wait: number;
  remedy: string;
  reference: string;
}): Page {
  return errorPage({
    status: 429,
    title: 'Too many sign-ins at once',
    what: 'Many sign-ins were begun from your network within a minute.',
    remedy: `Wait ${wait} seconds, then ${remedy}.`,
    reference,
  });
}
