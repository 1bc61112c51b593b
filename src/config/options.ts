import type { ProviderChoice, ProviderKind } from '../providers/contract.js';
import { ConfigurationError } from './configuration-error.js';
import { inconsistencies } from './consistency.js';
import { faultSentence } from './faults.js';
import { fieldsOf, readableFields } from './fields.js';
import { faultOfInstanceId } from './instance-id.js';
import { Settings, settingsSchema, type SettingsInput } from './settings.js';

/** What `GatehouseModule.forRoot({ … })` takes: the settings in camelCase, and the providers in the order of the login page. */
export type Options = SettingsInput & {
  /** `[github({ clientId, … }), staticToken({ … })]`; absent: `static-token` alone. */
  readonly providers?: readonly ProviderChoice[] | undefined;
};

/**
 * Reads the configuration from code; nothing of the environment counts.
 * @throws ConfigurationError naming every fault at once
 */
export function readOptions(
  { providers, ...input }: Options,
  { cwd, kinds = [] }: { readonly cwd: string; readonly kinds?: readonly ProviderKind[] },
): Settings {
  const fields = fieldsOf(settingsSchema);
  const faults: string[] = [];
  for (const key of Object.keys(input))
    if (!fields.some((field) => field.key === key)) faults.push(`${key}: is no option of Gatehouse`);
  const result = settingsSchema.safeParse(input);
  const faulty = new Set<string>();
  for (const issue of result.error?.issues ?? []) {
    const field = fields.find(({ key }) => key === issue.path[0]);
    if (field) faulty.add(field.key);
    if (field)
      faults.push(
        faultSentence({ ...field, name: field.key, got: (input as Record<string, unknown>)[field.key] }, issue),
      );
  }
  const choices = providers ?? kinds.filter(({ kind }) => kind === 'static-token').map(chosenBare);
  const ids = choices.map(({ id }) => id);
  if (choices.length === 0) faults.push('providers: wants at least one provider');
  for (const id of new Set(ids.filter((one, i) => ids.indexOf(one) !== i)))
    faults.push(`providers: the id "${id}" is used twice`);
  for (const id of ids) if (faultOfInstanceId(id) !== null) faults.push(`providers: ${faultOfInstanceId(id)}`);
  for (const { id, kind, settings } of choices)
    for (const { key, fault } of kind.examine?.(settings as object, cwd) ?? [])
      faults.push(`providers: ${key} of ${id}: ${fault}`);
  const values = readableFields(settingsSchema, input, faulty);
  faults.push(...inconsistencies({ values, faulty, providers: choices, cwd, nameOf: (key) => key }));
  if (!result.success || faults.length > 0) throw new ConfigurationError(faults);
  return new Settings(result.data, { providers: choices, cwd });
}

function chosenBare(kind: ProviderKind): ProviderChoice {
  return { id: kind.kind, kind, settings: kind.settings.parse({}) };
}
