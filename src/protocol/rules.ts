/** An allow or admin rule: who may sign in, or who is an administrator. */
export type Rule =
  | { readonly kind: 'anyone' }
  | {
      readonly kind: 'email' | 'domain' | 'github-org' | 'github-team' | 'google-domain' | 'workos-org';
      readonly value: string;
    }
  | { readonly kind: 'claim'; readonly claim: string; readonly value: string };

/** What a rule looks at: the part of an Identity that rules may compare. */
export interface RuleSubject {
  /** Kind of the provider that says it: a claim called `hd` means a Workspace only when Google says so. */
  readonly kind: string;
  /** Verified; undefined otherwise. */
  readonly email?: string | undefined;
  readonly organizations?: readonly string[] | undefined;
  readonly teams?: readonly string[] | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  /** What the provider said before and could not be asked about now; undefined: nothing. */
  readonly earlier?: { readonly email?: string | undefined; readonly claims: RuleSubject['claims'] } | undefined;
}

/** `now`: by what the provider says now. `earlier`: only by what it said before and cannot be asked about. `no`: not at all. */
export type Finding = 'now' | 'earlier' | 'no';

const NAMED = ['email', 'domain', 'github-org', 'github-team', 'google-domain', 'workos-org'] as const;

/** Reads one rule; a string answer is what is wrong with it. */
export function parseRule(text: string): Rule | string {
  if (text === '*') return { kind: 'anyone' };
  const colon = text.indexOf(':');
  const kind = text.slice(0, colon);
  const value = text.slice(colon + 1).trim();
  if (colon < 1 || value === '')
    return `"${text}" is no rule: * or one of ${NAMED.map((name) => `${name}:…`).join(', ')}, claim:name=value`;
  if (kind === 'claim') {
    const equals = value.indexOf('=');
    if (equals < 1 || equals === value.length - 1) return `"${text}" wants the form claim:name=value`;
    return { kind: 'claim', claim: value.slice(0, equals), value: value.slice(equals + 1) };
  }
  const named = NAMED.find((name) => name === kind);
  if (!named) return `"${kind}" is no kind of rule; known are ${NAMED.join(', ')}, claim and *`;
  if (named === 'email' && !/^[^@\s]+@[^@\s]+$/.test(value)) return `"${text}" wants an e-mail address`;
  if (named === 'domain' && value.includes('@')) return `"${text}" wants a domain without @`;
  if (named === 'github-team' && !/^[^/\s]+\/[^/\s]+$/.test(value)) return `"${text}" wants organisation/team`;
  return { kind: named, value: named === 'workos-org' ? value : value.toLowerCase() };
}

/** Does any of these rules match this person? */
export function findingOf(rules: readonly Rule[], who: RuleSubject): Finding {
  if (rules.some((rule) => admits(rule, who))) return 'now';
  const { kind, earlier } = who;
  return earlier && rules.some((rule) => admits(rule, { kind, ...earlier })) ? 'earlier' : 'no';
}

/** Does this rule admit this person? Only verified e-mail counts; absent facts never admit, nor do another kind of provider's. */
export function admits(rule: Rule, who: RuleSubject): boolean {
  const email = who.email?.toLowerCase();
  switch (rule.kind) {
    case 'anyone':
      return true;
    case 'email':
      return email === rule.value;
    case 'domain':
      return email !== undefined && email.slice(email.lastIndexOf('@') + 1) === rule.value;
    case 'github-org':
      return who.kind === 'github' && (who.organizations?.includes(rule.value) ?? false);
    case 'github-team':
      return who.kind === 'github' && (who.teams?.includes(rule.value) ?? false);
    case 'google-domain':
      return who.kind === 'google' && textOf(who.claims['hd'])?.toLowerCase() === rule.value;
    case 'workos-org':
      return who.kind === 'workos' && who.claims['org_id'] === rule.value;
    case 'claim': {
      const claim = who.claims[rule.claim];
      const values: unknown[] = Array.isArray(claim) ? claim : [claim];
      return values.some(
        (value) => ['string', 'number', 'boolean'].includes(typeof value) && String(value) === rule.value,
      );
    }
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
