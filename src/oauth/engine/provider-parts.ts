import { Provider } from 'oidc-provider';
import { isUsable, redirectMatches } from '../../protocol/redirect-uri.js';
import { mintToken, sha256 } from '../../protocol/token.js';

/** Every URL comes from GATEHOUSE_PUBLIC_URL, never from `Host` or `X-Forwarded-*` (security.md 45). */
export function pinUrls(provider: Provider, publicUrl: string): void {
  const { protocol, host } = new URL(publicUrl);
  Object.defineProperties(provider.request, {
    protocol: { get: () => protocol.slice(0, -1) },
    host: { get: () => host },
  });
}

/** Parts of the engine's models that are ours: token values, redirect matching, secrets kept as hashes. */
export function replaceModelParts(provider: Provider): void {
  const models = provider as unknown as Record<'AccessToken' | 'RefreshToken' | 'Client', { prototype: object }>;
  Object.assign(models.AccessToken.prototype, {
    generateTokenId(this: { format: string }): string {
      this.format = 'opaque';
      return mintToken('gth_at_');
    },
  });
  Object.assign(models.RefreshToken.prototype, { generateTokenId: () => mintToken('gth_rt_') });
  Object.assign(models.Client.prototype, {
    redirectUriAllowed(this: { redirectUris: string[]; gatehouse_trusted?: boolean }, uri: string): boolean {
      return redirectMatches(this.redirectUris, uri) && isUsable(uri, { trusted: this.gatehouse_trusted === true });
    },
    // Both are SHA-256 of 256 random bits: comparing them leaks nothing about the secret.
    compareClientSecret(this: { clientSecret: string }, secret: string): boolean {
      return this.clientSecret === sha256(secret);
    },
  });
}
