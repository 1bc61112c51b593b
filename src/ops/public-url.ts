import type { Settings } from '../config/settings.js';
import type { Outbound } from '../outbound/outbound.js';

const PATIENCE_MS = 5000;

/**
 * Asks the public URL for our own metadata, as a client would: a proxy that sends it elsewhere, or a wrong `GATEHOUSE_PUBLIC_URL`, ends every
 * sign-in before it begins.
 * @returns what is wrong; null: nothing, or there is no metadata to ask for
 */
export async function faultOfPublicUrl(settings: Settings, outbound: Outbound): Promise<string | null> {
  if (!settings.discovery) return null;
  const url = new URL('/.well-known/oauth-protected-resource', settings.publicUrl);
  try {
    const { status, text } = await outbound.send(url, { timeoutMs: PATIENCE_MS });
    if (status !== 200) return `${url.href} answers ${status}`;
    const { resource } = JSON.parse(text) as { resource?: unknown };
    return resource === settings.mcpUrl
      ? null
      : `${url.href} names the resource ${String(resource)}, not ${settings.mcpUrl}`;
  } catch (error) {
    return `${url.href} cannot be reached from here: ${error instanceof Error ? error.message : String(error)}`;
  }
}
