import { LoginRefused, UpstreamUnavailable } from './contract.js';

/** Codes of a token endpoint that mean: our registration there is wrong. Nobody can sign in until an operator mends it. */
const OUR_FAULTS: Readonly<Record<string, string>> = {
  incorrect_client_credentials: 'CLIENT_ID and CLIENT_SECRET',
  invalid_client: 'CLIENT_ID and CLIENT_SECRET',
  unauthorized_client: 'CLIENT_ID and CLIENT_SECRET',
  redirect_uri_mismatch: 'the callback URL registered there',
};

/**
 * The parameters an upstream sent back, each a single string; the caller has checked the state against this browser.
 * @throws LoginRefused the person said no  @throws UpstreamUnavailable any other error, or parameters that no honest upstream sends
 */
export function readCallback(id: string, callback: URL): { code: string; state: string } {
  const single = (name: string): string | undefined => {
    const values = callback.searchParams.getAll(name);
    if (values.length > 1) throw new UpstreamUnavailable(`${id}: the callback repeats ${name}`);
    return values[0];
  };
  const error = single('error');
  if (error === 'access_denied') throw new LoginRefused('The sign-in was cancelled.');
  if (error !== undefined) {
    const cause = Object.assign(new Error('error in the callback'), { code: error });
    throw new UpstreamUnavailable(`${id} answered the sign-in with ${safeCode(error)}`, 5, { cause });
  }
  const code = single('code');
  const state = single('state');
  if (!code || !state) throw new UpstreamUnavailable(`${id}: the callback lacks code or state`);
  return { code, state };
}

/** Logs the variable to mend when an upstream's error code blames our registration there. */
export function reportOurFault(id: string, code: string, log: { error(message: string): void }): void {
  const variable = OUR_FAULTS[code];
  if (!variable) return;
  const prefix = `GATEHOUSE_${id.toUpperCase().replaceAll('-', '_')}_`;
  const names = variable.replace(/CLIENT_/g, `${prefix}CLIENT_`);
  log.error(`${id} answers ${code}: check ${names}. Nobody can sign in with ${id} until this is mended.`);
}

/** Does an upstream blame our registration there, so that only the operator can mend it? */
export function blamesOurRegistration(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code, error: named } = cause as { code?: unknown; error?: unknown };
    if ([code, named].some((one) => typeof one === 'string' && Object.hasOwn(OUR_FAULTS, one))) return true;
  }
  return false;
}

/** An upstream's error code, fit for a log line. */
export function safeCode(code: unknown): string {
  return typeof code === 'string' && /^[\w.:-]{1,64}$/.test(code) ? code : 'an unreadable error';
}
