import { createHmac, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Settings } from '../config/settings.js';
import { Seals } from '../persistence/seals.js';
import { ATTEMPT_SECONDS, randomValue } from './attempts.js';

const VALUE = /^[A-Za-z0-9_-]{43}$/;
/** Sign-ins that one browser may have on their way: cookies that pile up overflow the header limits of proxies. */
const LIVE_SIGN_INS = 8;

/**
 * The cookies of the pages. `gth_page` is this browser's own value, to which every form is tied (RFC 6749 §10.12); `gth_login_<id>` binds one approved
 * sign-in to this browser until it ends. Both are `__Host-` cookies, except on http loopback, where browsers refuse the prefix.
 */
@Injectable()
export class BrowserCookies {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Seals) private readonly seals: Seals,
  ) {}

  /** The token for a form about `subject`; makes this browser's value when it has none. The same on every render, so that each stays submittable. */
  formToken(request: FastifyRequest, reply: FastifyReply, subject: string): string {
    let browser = this.#read(request, 'gth_page');
    if (!browser) {
      browser = randomValue();
      this.#set(reply, 'gth_page', browser, null);
    }
    return this.#sign(browser, subject);
  }

  /** Does the form's token belong to this browser and this subject? */
  isOwnForm(request: FastifyRequest, subject: string, token: unknown): boolean {
    const browser = this.#read(request, 'gth_page');
    if (!browser || typeof token !== 'string') return false;
    const expected = Buffer.from(this.#sign(browser, subject));
    const given = Buffer.from(token);
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  /** Binds a sign-in to this browser: a second try of the same sign-in keeps the first one's value, so that both may come back. */
  bind(request: FastifyRequest, reply: FastifyReply, subject: string): string {
    const held = [...cookiesOf(request).keys()].filter((name) => name.startsWith(this.#name('gth_login_')));
    for (const name of held.slice(0, Math.max(0, held.length + 1 - LIVE_SIGN_INS)))
      this.#append(reply, `${name}=; Max-Age=0`);
    const binding = this.binding(request, subject) ?? randomValue();
    this.#set(reply, `gth_login_${subject}`, binding, ATTEMPT_SECONDS);
    return binding;
  }

  /** This browser's binding of a sign-in; null: this browser did not approve it. */
  binding(request: FastifyRequest, subject: string): string | null {
    return this.#read(request, `gth_login_${subject}`);
  }

  /** The sign-in is over. */
  release(reply: FastifyReply, subject: string): void {
    this.#set(reply, `gth_login_${subject}`, '', 0);
  }

  /** What opens the engine's memory of who is signed in to this browser; null: it has none. */
  rememberedBrowser(request: FastifyRequest): string | null {
    return cookiesOf(request).get(engineCookieNames(this.settings.secure).session) ?? null;
  }

  /** A cookie of another page of ours, a value of `randomValue()`; null: none, or not of that form. */
  read(request: FastifyRequest, name: string): string | null {
    return this.#read(request, name);
  }

  /** Sets a cookie of another page of ours. `seconds` null: until the browser is closed; 0: it goes. */
  set(reply: FastifyReply, name: string, value: string, seconds: number | null): void {
    this.#set(reply, name, value, seconds);
  }

  #sign(browser: string, subject: string): string {
    return createHmac('sha256', this.seals.key('page-form')).update(`${browser}.${subject}`).digest('base64url');
  }

  #name(name: string): string {
    return this.settings.secure ? `__Host-${name}` : name;
  }

  #read(request: FastifyRequest, name: string): string | null {
    const value = cookiesOf(request).get(this.#name(name));
    return value !== undefined && VALUE.test(value) ? value : null;
  }

  #set(reply: FastifyReply, name: string, value: string, seconds: number | null): void {
    this.#append(reply, `${this.#name(name)}=${value}${seconds === null ? '' : `; Max-Age=${seconds}`}`);
  }

  #append(reply: FastifyReply, cookie: string): void {
    const line = `${cookie}; Path=/; HttpOnly; SameSite=Lax${this.settings.secure ? '; Secure' : ''}`;
    // On the raw response: the engine, which ends some of our answers itself, adds its cookies there too.
    const before = reply.raw.getHeader('set-cookie');
    reply.raw.setHeader('set-cookie', [
      ...(Array.isArray(before) ? before : before === undefined ? [] : [String(before)]),
      line,
    ]);
  }
}

/** The cookies that the engine sets; `__Host-` where browsers accept the prefix. */
export function engineCookieNames(secure: boolean) {
  return {
    session: `${secure ? '__Host-' : ''}gth_browser`,
    interaction: 'gth_interaction',
    resume: 'gth_resume',
  };
}

/** The request's cookies in the order in which the browser sent them; the first of a name counts (RFC 6265 §5.4). */
export function cookiesOf(request: FastifyRequest): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const equals = part.indexOf('=');
    if (equals < 1) continue;
    const name = part.slice(0, equals).trim();
    if (!cookies.has(name)) cookies.set(name, part.slice(equals + 1).trim());
  }
  return cookies;
}
