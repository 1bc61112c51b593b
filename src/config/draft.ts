import type { ProviderChoice } from '../providers/contract.js';
import type { SettingsValues } from './settings.js';

/** What a configuration is judged by, also one that could be read in part only: all faults come in one message. */
export interface Draft {
  readonly values: Partial<SettingsValues>;
  /** Settings that are written and could not be read: not missing, and already told of. */
  readonly faulty: ReadonlySet<string>;
  /** The chosen ones, also where their own settings are faulty: all faults come in one message. */
  readonly providers: readonly Pick<ProviderChoice, 'id' | 'kind'>[];
  readonly cwd: string;
  /** How the reader's source calls a setting: `publicUrl` → `GATEHOUSE_PUBLIC_URL`. */
  readonly nameOf: (key: keyof SettingsValues) => string;
}
