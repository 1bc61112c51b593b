import { fieldsOf, settingName } from './fields.js';
import { settingsSchema } from './settings.js';

/** First words of settings outside the providers: an instance of that name would read their variables as its own. */
const RESERVED: ReadonlySet<string> = new Set([
  'providers',
  ...fieldsOf(settingsSchema).map(({ key }) => settingName(key).split('_')[1]?.toLowerCase() ?? ''),
]);

/** What is wrong with a provider instance's id; null: nothing. */
export function faultOfInstanceId(id: string): string | null {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(id)) return `wants an id of small letters, digits and hyphens, not "${id}"`;
  return RESERVED.has(id) ? `the id "${id}" is reserved; choose another` : null;
}
