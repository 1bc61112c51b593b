import * as oidc from 'openid-client';
import type { Outbound } from '../outbound/outbound.js';
import type { ProviderHouse } from './contract.js';
import { isLoopback } from './loopback.js';
import { asking } from './openid-errors.js';

/** Seconds for which discovered metadata is used before it is asked for again. */
const METADATA_TTL = 3600;
/** Seconds by which an id_token may have ended. */
const LEEWAY = 30;

/** How we are registered at an OpenID Connect provider. */
export interface OpenIdRegistration {
  readonly issuer: string;
  readonly clientId: string;
  /** undefined: a public client, held by PKCE alone. */
  readonly clientSecret?: string | undefined;
}

/** The provider's metadata with our registration: what openid-client needs for each request. */
export class OpenIdDiscovery {
  #configuration: oidc.Configuration | undefined;
  #discoveredAt = 0;
  #discovering: Promise<oidc.Configuration> | undefined;

  constructor(
    private readonly id: string,
    private readonly registration: OpenIdRegistration,
    private readonly house: Pick<ProviderHouse, 'outbound' | 'log'>,
  ) {}

  /** What was discovered within the hour; older facts serve while the provider cannot be asked. @throws UpstreamUnavailable */
  async current(): Promise<oidc.Configuration> {
    const known = this.#configuration;
    if (known && performance.now() / 1000 - this.#discoveredAt < METADATA_TTL) return known;
    try {
      return await this.ask();
    } catch (error) {
      if (known) return known;
      throw error;
    }
  }

  /** Asks now; requests at the same time share one answer. @throws UpstreamUnavailable */
  ask(): Promise<oidc.Configuration> {
    this.#discovering ??= this.#discover().finally(() => {
      this.#discovering = undefined;
    });
    return this.#discovering;
  }

  async #discover(): Promise<oidc.Configuration> {
    const { issuer, clientId, clientSecret } = this.registration;
    const options: oidc.DiscoveryRequestOptions = {
      [oidc.customFetch]: fetchThrough(this.house.outbound),
      timeout: 8,
      execute: [oidc.enableNonRepudiationChecks, ...(isLoopback(issuer) ? [oidc.allowInsecureRequests] : [])],
    };
    const metadata = {
      ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
      [oidc.clockTolerance]: LEEWAY,
    };
    const config = await asking({ id: this.id, log: this.house.log }, () =>
      oidc.discovery(new URL(issuer), clientId, metadata, authentication(clientSecret), options),
    );
    this.#configuration = config;
    this.#discoveredAt = performance.now() / 1000;
    return config;
  }
}

/** `client_secret_post` where it is offered: some servers do not decode the percent-encoding that RFC 6749 §2.3.1 asks of Basic. */
function authentication(clientSecret: string | undefined): oidc.ClientAuth {
  if (clientSecret === undefined) return oidc.None();
  const [post, basic] = [oidc.ClientSecretPost(clientSecret), oidc.ClientSecretBasic(clientSecret)];
  return (server, client, body, headers) => {
    const offered = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const method = offered.includes('client_secret_basic') && !offered.includes('client_secret_post') ? basic : post;
    return method(server, client, body, headers);
  };
}

/** The `fetch` of a library, led through `outbound/`. */
function fetchThrough(outbound: Outbound): oidc.CustomFetch {
  return async (url, { method, headers, body }) => {
    const answer = await outbound.send(new URL(url), {
      method: method === 'POST' ? 'POST' : 'GET',
      headers,
      ...(typeof body === 'string' || body instanceof URLSearchParams ? { body: body.toString() } : {}),
    });
    const bodiless = [101, 204, 205, 304].includes(answer.status);
    return new Response(bodiless ? null : answer.text, { status: answer.status, headers: answer.headers });
  };
}
