import { Inject, Injectable } from '@nestjs/common';
import type { z } from 'zod';
import { fieldsOf } from '../config/fields.js';
import { Settings } from '../config/settings.js';
import type { Probes, ProviderChoice } from '../providers/contract.js';
import { Providers } from '../providers/providers.js';
import type { providerSchema } from './system-schemas.js';

/** An answer that takes longer counts as none, milliseconds. */
const PATIENCE_MS = 5000;

/** The enabled providers as an administrator may see them. */
@Injectable()
export class ProviderFacts {
  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Providers) private readonly providers: Providers,
  ) {}

  /** In the operator's order; all are asked at once whether they answer. */
  async all(): Promise<z.input<typeof providerSchema>[]> {
    return Promise.all(
      this.settings.providers.map(async (choice) => {
        const built = this.providers.all.find(({ id }) => id === choice.id);
        const isLogin = choice.kind.sort === 'login';
        return {
          id: choice.id,
          kind: choice.kind.kind,
          sort: choice.kind.sort,
          label: built && 'label' in built ? built.label : null,
          callback_url: isLogin ? this.settings.callbackUrl(choice.id).href : null,
          settings: settingsWithoutSecrets(choice),
          answers: built && hasProbe(built) ? await answers(built) : null,
        };
      }),
    );
  }
}

/** What is declared and no secret, as it is; `***` for secrets that are set; anything else stays out. */
export function settingsWithoutSecrets({ kind, settings }: ProviderChoice): Record<string, unknown> {
  const values = (settings ?? {}) as Record<string, unknown>;
  const shown: Record<string, unknown> = {};
  for (const { key, secret } of fieldsOf(kind.settings)) {
    const value = values[key];
    if (value === undefined || value === null) continue;
    const plain = secret ? '***' : plainOf(value);
    if (plain !== undefined) shown[key] = plain;
  }
  return shown;
}

/** Text, numbers, switches and lists of them; undefined: nothing that can be shown. */
function plainOf(value: unknown): unknown {
  if (typeof value === 'string') return withoutPassword(value);
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (value instanceof URL) return withoutPassword(value.href);
  if (Array.isArray(value)) return value.map(plainOf).filter((item) => item !== undefined);
  return undefined;
}

function withoutPassword(value: string): string {
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@\s]*@/i, '$1***@');
}

function hasProbe(provider: object): provider is Probes {
  return 'probe' in provider && typeof provider.probe === 'function';
}

async function answers(provider: Probes): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), PATIENCE_MS);
  });
  const asked = provider.probe().then(
    () => true,
    () => false,
  );
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}
