import { closest, distance } from 'fastest-levenshtein';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { z } from 'zod';
import type { ProviderChoice, ProviderKind } from '../providers/contract.js';
import { ConfigurationError } from './configuration-error.js';
import { inconsistencies } from './consistency.js';
import { translateFastMcp } from './fastmcp.js';
import { faultSentence } from './faults.js';
import { fieldsOf, providerSettingName, readableFields, settingName } from './fields.js';
import { faultOfInstanceId } from './instance-id.js';
import { Settings, settingsSchema } from './settings.js';

/** Variables as a process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process. */
export function processEnvironment(): Environment {
  return process.env;
}

/** Not settings of the server, but found in shells that start one: read by `gatehouse client`, and by the tests. */
const OF_OTHERS = ['GATEHOUSE_TOKEN', 'GATEHOUSE_TEST_POSTGRES', 'GATEHOUSE_TEST_PICTURES'] as const;
const PROVIDERS = 'GATEHOUSE_PROVIDERS';

/**
 * Reads the whole configuration from the environment, `.env` in `cwd` (what the process has wins) and the `_FILE` forms of secrets.
 * `notes`: lines for the log about what was ignored or translated.
 * @throws ConfigurationError naming every fault at once
 */
export function readEnvironment(
  env: Environment,
  { cwd, kinds }: { readonly cwd: string; readonly kinds: readonly ProviderKind[] },
): { settings: Settings; notes: string[] } {
  const merged = withDotEnv(env, cwd);
  const fastMcp = translateFastMcp(merged);
  const reader = new Reader(withDefaults(merged, fastMcp.values), cwd);
  reader.faults.push(...fastMcp.faults);

  const own = reader.object(settingsSchema, settingName);
  const chosen = chooseProviders(reader, kinds);
  const providers = chosen.flatMap(({ id, kind }): ProviderChoice[] => {
    const nameOf = (key: string) => providerSettingName(id, key);
    const { complete, readable } = reader.object(kind.settings, nameOf, `The provider ${id}`);
    const found = kind.examine?.(readable, cwd) ?? [];
    reader.faults.push(...found.map(({ key, fault }) => `${nameOf(key)}: ${fault}`));
    return complete === null ? [] : [{ id, kind, settings: complete }];
  });
  const notes = [...fastMcp.notes, ...reader.judgeTheRest(kinds)];
  const { complete: values, readable, faulty } = own;
  reader.faults.push(...inconsistencies({ values: readable, faulty, providers: chosen, cwd, nameOf: settingName }));
  if (values === null || reader.faults.length > 0)
    throw new ConfigurationError(reader.faults.map((fault) => withAlias(fault, fastMcp.aliases)));

  const on = new Set(providers.map(({ id }) => id));
  const callbackPaths = new Map([...fastMcp.callbackPaths].filter(([id]) => on.has(id)));
  return { settings: new Settings(values, { providers, cwd, callbackPaths }), notes };
}

function withDotEnv(env: Environment, cwd: string): Record<string, string | undefined> {
  const own = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
  try {
    return { ...parseEnv(readFileSync(join(cwd, '.env'), 'utf8')), ...own };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return own;
    throw new ConfigurationError([`.env: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'not text'})`]);
  }
}

/** A fault of a setting that was to come from a FastMCP variable names that one too. */
function withAlias(fault: string, aliases: ReadonlyMap<string, string>): string {
  const name = /^\w+(?=:)/.exec(fault)?.[0] ?? '';
  const alias = aliases.get(name);
  return alias === undefined ? fault : `${name} (here: ${alias})${fault.slice(name.length)}`;
}

/** Translated values, except where ours is set in either form. */
function withDefaults(env: Environment, translated: Readonly<Record<string, string>>): Environment {
  const missing = Object.entries(translated).filter(
    ([name]) => env[name] === undefined && env[`${name}_FILE`] === undefined,
  );
  return { ...Object.fromEntries(missing), ...env };
}

function chooseProviders(reader: Reader, kinds: readonly ProviderKind[]): { id: string; kind: ProviderKind }[] {
  const text = reader.take(PROVIDERS, false) ?? 'static-token';
  const fault = (message: string) => void reader.faults.push(`${PROVIDERS}: ${message}`);
  const entries = text.split(',').map((entry) => entry.trim());
  if (entries.join('') === '') fault('is empty; wants a comma list of kind or id:kind');
  const chosen: { id: string; kind: ProviderKind }[] = [];
  for (const entry of entries.filter((item) => item !== '')) {
    const [id = '', kindName = id] = entry.split(':');
    const kind = kinds.find((known) => known.kind === kindName);
    if (!kind)
      fault(
        `got "${entry}", and no kind is called "${kindName}"${suggest(
          kindName,
          kinds.map((known) => known.kind),
        )}; kinds are ${kinds.map((known) => known.kind).join(', ')}`,
      );
    else if (faultOfInstanceId(id) !== null) fault(`got "${entry}": ${faultOfInstanceId(id)}`);
    else if (chosen.some((other) => other.id === id)) fault(`the id "${id}" is used twice`);
    else chosen.push({ id, kind });
  }
  return chosen;
}

function bothForms(name: string): string {
  return `${name}: is set, and ${name}_FILE too; wants only one of them`;
}

/** What could be read of a schema's fields. */
interface Read<Schema extends z.ZodType> {
  /** Null: faults were noted. */
  readonly complete: z.output<Schema> | null;
  readonly readable: Partial<z.output<Schema>>;
  /** Keys of what could not. */
  readonly faulty: ReadonlySet<string>;
}

/** Takes variables one by one and remembers which are known, so that what is left over can be judged. */
class Reader {
  readonly faults: string[] = [];
  /** Every name that could have been set, with who would read it. */
  readonly #known = new Map<string, string>();

  constructor(
    private readonly env: Environment,
    private readonly cwd: string,
  ) {
    for (const name of OF_OTHERS) this.#known.set(name, 'another program');
  }

  /** The text of a variable, from its `_FILE` form too when it may have one; undefined: not set. */
  take(name: string, mayBeFile: boolean, owner = 'Gatehouse'): string | undefined {
    if (this.#known.has(name))
      this.faults.push(`${name}: is claimed by ${this.#known.get(name)} and ${owner}; rename the instance`);
    this.#known.set(name, owner);
    if (!mayBeFile) return this.env[name];
    this.#known.set(`${name}_FILE`, owner);
    const file = this.env[`${name}_FILE`];
    if (file === undefined) return this.env[name];
    if (this.env[name] !== undefined) {
      this.faults.push(bothForms(name));
      return this.env[name];
    }
    try {
      return readFileSync(resolve(this.cwd, file), 'utf8').replace(/\r?\n$/, '');
    } catch (error) {
      this.faults.push(
        `${name}_FILE: cannot read ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
      );
      return undefined;
    }
  }

  /** All fields of a schema, parsed; the faults of the rest were noted. */
  object<Schema extends z.ZodType>(schema: Schema, nameOf: (key: string) => string, owner = 'Gatehouse'): Read<Schema> {
    const fields = fieldsOf(schema);
    const keys = new Set(fields.map(({ key }) => key));
    const faulty = new Set<string>();
    const input: Record<string, string> = {};
    const names = new Map<string, string>();
    for (const { key, secret } of fields) {
      const name = nameOf(key);
      names.set(key, name);
      const before = this.faults.length;
      // A schema that has `tokensFile` beside `tokens` reads that file itself.
      const hasOwnFile = keys.has(`${key}File`);
      const taken = this.take(name, secret && !hasOwnFile, owner);
      if (hasOwnFile && taken !== undefined && this.env[`${name}_FILE`] !== undefined)
        this.faults.push(bothForms(name));
      const text = key === 'port' && owner === 'Gatehouse' ? this.#port(taken, names) : taken;
      if (text !== undefined) input[key] = text;
      if (this.faults.length > before) faulty.add(key);
    }
    const result = schema.safeParse(input);
    const unread = faulty.size > 0;
    for (const issue of result.error?.issues ?? []) {
      const field = fields.find(({ key }) => key === issue.path[0]);
      if (!field) this.faults.push(`${owner}: ${issue.message}`);
      else if (!faulty.has(field.key)) {
        faulty.add(field.key);
        const name = names.get(field.key) ?? field.key;
        this.faults.push(faultSentence({ ...field, name, got: input[field.key] }, issue));
      }
    }
    const complete = result.success && !unread ? result.data : null;
    return { complete, readable: readableFields(schema, input, faulty), faulty };
  }

  /** Names of ours that nobody reads: notes for kinds that are off, faults for the rest. */
  judgeTheRest(kinds: readonly ProviderKind[]): string[] {
    const offNames = new Map<string, string>();
    for (const kind of kinds)
      for (const { key, secret } of fieldsOf(kind.settings)) {
        const name = providerSettingName(kind.kind, key);
        offNames.set(name, kind.kind);
        if (secret) offNames.set(`${name}_FILE`, kind.kind);
      }
    const notes: string[] = [];
    for (const name of Object.keys(this.env).sort()) {
      if (!name.startsWith('GATEHOUSE_') || this.#known.has(name)) continue;
      const kind = offNames.get(name);
      if (kind !== undefined) notes.push(`${name} is ignored: the provider ${kind} is not on`);
      else
        this.faults.push(
          `${name}: is no setting of Gatehouse${suggest(name, [...this.#known.keys(), ...offNames.keys()])}`,
        );
    }
    return notes;
  }

  /** Platforms that assign a port do so in `PORT`. */
  #port(own: string | undefined, names: Map<string, string>): string | undefined {
    if (own !== undefined || !this.env['PORT']) return own;
    names.set('port', 'PORT');
    return this.env['PORT'];
  }
}

function suggest(name: string, known: readonly string[]): string {
  const nearest = closest(name, [...known]);
  return distance(name, nearest) <= Math.max(3, name.length / 3) ? `; did you mean ${nearest}?` : '';
}
