import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { PersonalTokens, type TokenOwner } from '../access/personal-tokens.js';
import { type Identity, UpstreamUnavailable } from '../providers/contract.js';
import { Identities } from '../users/identities.js';
import { RuleBook } from '../users/rule-book.js';
import type { IdentityRow } from '../users/user.entity.js';
import { UserChanges } from '../users/user-changes.js';
import { Users } from '../users/users.js';
import { Departures } from './departures.js';
import { Grants } from './grants.js';
import { accountBehind } from './signed-in-identity.js';
import { type Answer, UpstreamInquiry } from './upstream-inquiry.js';
import { UpstreamTokenVault } from './upstream-token-vault.js';
import { Verdicts } from './verdicts.js';

/** Seconds between two checks of one account. */
const CHECK_SECONDS = 900;
/** Seconds for which the last verdict stands where no new one can be had. */
const VERDICT_SECONDS = 86_400;

/** `sign-in-again`: nothing speaks against the person, but only a new sign-in can show that they may stay. */
export type Standing = 'admitted' | 'not-admitted' | 'sign-in-again';

/**
 * What a check of an account found. `refused`: no rule admits it. `dead`: the upstream took our tokens back. `stale`: nobody has been able to say for a
 * day. `unreachable`: the same, while the provider is down.
 */
type Verdict = 'admitted' | 'refused' | 'dead' | 'stale' | UpstreamUnavailable;

/**
 * Checks the rules again for people who signed in before: before a code or a token is given out, when our tokens are refreshed, at the account page and, in
 * the background, when a personal token is verified. Somebody who left the organisation loses access, and the role that `GATEHOUSE_ADMINS` gave; an
 * upstream that is down or cannot say leaves the last verdict standing for a day.
 */
@Injectable()
export class Admission implements OnModuleInit {
  readonly #log = new Logger('Admission');
  readonly #checking = new Map<string, Promise<Verdict>>();
  readonly #behindCalls = new Set<Promise<void>>();

  constructor(
    @Inject(Users) private readonly users: Users,
    @Inject(UserChanges) private readonly userChanges: UserChanges,
    @Inject(Identities) private readonly identities: Identities,
    @Inject(RuleBook) private readonly rules: RuleBook,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(UpstreamTokenVault) private readonly vault: UpstreamTokenVault,
    @Inject(UpstreamInquiry) private readonly inquiry: UpstreamInquiry,
    @Inject(Verdicts) private readonly verdicts: Verdicts,
    @Inject(Departures) private readonly departures: Departures,
    @Inject(PersonalTokens) private readonly personalTokens: PersonalTokens,
  ) {}

  onModuleInit(): void {
    this.personalTokens.findOwnersBy((userId) => this.#owner(userId));
  }

  /**
   * May the person of this Grant stay? When not, their connections have been ended.
   * @throws UpstreamUnavailable it cannot be decided now, and the last verdict is a day old
   */
  async check(grantId: string): Promise<boolean> {
    const grant = await this.grants.find(grantId);
    if (!grant) return true;
    const { userId } = grant;
    const accounts = await this.identities.byUse(userId);
    const account = accountBehind(grant, accounts);
    const verdict = await this.#verdictOn(userId, account, accounts);
    if (verdict instanceof UpstreamUnavailable) throw verdict;
    if (verdict === 'stale')
      await this.departures.depart(userId, account, { why: 'not-checked-for-a-day', isNews: false });
    return verdict === 'admitted';
  }

  /** May somebody who was signed in with this account before go on without a new sign-in? null: they have no account left. */
  async standingOf(userId: string, account: IdentityRow | null): Promise<Standing> {
    return standingBy(await this.#verdictOn(userId, account, await this.identities.byUse(userId)));
  }

  /** The same for what belongs to no provider: one account by which a rule admits the person is enough. */
  async standingByAnyAccount(userId: string): Promise<Standing> {
    const accounts = await this.identities.byUse(userId);
    if (this.rules.isOpenToAll) {
      await this.#checkRoles(userId, accounts);
      return 'admitted';
    }
    let standing: Standing = 'not-admitted';
    for (const account of accounts) {
      const one = standingBy(await this.#verdictOn(userId, account, accounts));
      if (one === 'admitted') return one;
      if (one === 'sign-in-again') standing = one;
    }
    return standing;
  }

  /** Resolves when no check behind a call is under way: nobody else awaits those. */
  async settled(): Promise<void> {
    while (this.#behindCalls.size > 0) await Promise.allSettled(this.#behindCalls);
  }

  async #verdictOn(userId: string, account: IdentityRow | null, accounts: readonly IdentityRow[]): Promise<Verdict> {
    if (account && !isSame(account, accounts[0])) await this.#checkRoles(userId, accounts);
    if (account) return this.#checkOnce(account);
    if (this.rules.isOpenToAll) return 'admitted';
    await this.departures.depart(userId, null, { why: 'not-admitted', isNews: true });
    return 'refused';
  }

  /** Roles come from the account signed in with last, whichever account is used now. */
  async #checkRoles(userId: string, [latest]: readonly IdentityRow[]): Promise<void> {
    if (latest && (await this.#hasRuledRoles(userId))) await this.#checkOnce(latest);
  }

  async #hasRuledRoles(userId: string): Promise<boolean> {
    return ((await this.users.find(userId))?.ruleRoles.length ?? 0) > 0;
  }

  /** One check at a time for each account: SDKs refresh once for each parallel call. */
  async #checkOnce(account: IdentityRow): Promise<Verdict> {
    const key = `${account.provider} ${account.subject}`;
    let checking = this.#checking.get(key);
    if (!checking) {
      checking = this.#check(account).finally(() => this.#checking.delete(key));
      this.#checking.set(key, checking);
    }
    return checking;
  }

  async #check(account: IdentityRow): Promise<Verdict> {
    const { userId } = account;
    // Tools would fail on and on; one new sign-in mends it (real-clients T2).
    if ((await this.vault.find(account))?.sealed === null) {
      await this.#rule(account, false);
      return this.#end(account, 'dead');
    }
    const isOpen = this.rules.isOpenToAll;
    if (isOpen && !(await this.#hasRuledRoles(userId))) return 'admitted';
    if (!isOpen && (await this.verdicts.isRefused(account))) return this.#end(account, 'refused');
    const verdict = await this.#look(account);
    if (verdict === 'admitted') return verdict;
    await this.#rule(account, false);
    if (verdict === 'refused' || verdict === 'dead')
      return this.#end(account, verdict, { isNews: verdict === 'refused' });
    return isOpen ? 'admitted' : verdict;
  }

  async #end(account: IdentityRow, verdict: 'refused' | 'dead', { isNews = false } = {}): Promise<Verdict> {
    const why = verdict === 'dead' ? 'upstream-dead' : 'not-admitted';
    await this.departures.depart(account.userId, account, { why, isNews });
    return verdict;
  }

  /** Notes what is found; asks nobody while the last check is young. */
  async #look(account: IdentityRow): Promise<Verdict> {
    const row = await this.verdicts.find(account);
    const at = now();
    const verdictAt = Math.max(account.lastUsedAt, row?.admittedAt ?? 0);
    const stands = verdictAt + VERDICT_SECONDS > at;
    if (verdictAt + CHECK_SECONDS > at || (stands && (row?.triedAt ?? 0) + CHECK_SECONDS > at)) return 'admitted';
    let answer: Answer;
    try {
      answer = await this.inquiry.ask(account);
    } catch (error) {
      if (!(error instanceof UpstreamUnavailable)) throw error;
      await this.verdicts.note(account);
      this.#log.warn(
        `${account.provider} cannot be asked about ${account.userId}: the last verdict ${stands ? 'stands' : 'is too old'}: ${error.message}`,
      );
      return stands ? 'admitted' : error;
    }
    if (answer === 'dead') return answer;
    if (answer === 'unsure') {
      await this.verdicts.note(account);
      return stands ? 'admitted' : 'stale';
    }
    return this.#judge(account, answer.identity, { at, verdictAt });
  }

  /** A fact that could not be asked about now is as old as the sign-in or refresh that brought it, and so is a verdict that rests on it. */
  async #judge(
    account: IdentityRow,
    identity: Identity,
    { at, verdictAt }: { at: number; verdictAt: number },
  ): Promise<Verdict> {
    const finding = this.rules.admission(identity);
    if (finding === 'no') {
      await this.verdicts.note(account, { refusedAt: at });
      return 'refused';
    }
    const saidAt = identity.earlier?.saidAt ?? account.lastUsedAt;
    const admittedAt = finding === 'now' ? at : Math.max(saidAt, verdictAt);
    await this.verdicts.note(account, { admittedAt });
    const role = this.rules.administration(identity);
    const roleStands = role === 'earlier' && saidAt + VERDICT_SECONDS > at;
    // An earlier fact may leave a role that it gave, but gives none.
    if (!roleStands) await this.#rule(account, role === 'now');
    return admittedAt + VERDICT_SECONDS > at ? 'admitted' : 'stale';
  }

  async #rule(account: IdentityRow, isAdministrator: boolean): Promise<void> {
    const [latest] = await this.identities.byUse(account.userId);
    if (isSame(account, latest)) await this.userChanges.rule(account.userId, isAdministrator);
  }

  /** The owner of a personal token. Their admission is checked behind the call: no tool call waits for an upstream. */
  async #owner(userId: string): Promise<TokenOwner | null> {
    const owner = await this.users.owner(userId);
    if (!owner) return null;
    const behind: Promise<void> = this.standingByAnyAccount(userId)
      .then(() => undefined)
      .catch((error: unknown) =>
        this.#log.warn(`whether user ${userId} may stay could not be checked: ${String(error)}`),
      )
      .finally(() => this.#behindCalls.delete(behind));
    this.#behindCalls.add(behind);
    return owner;
  }
}

function isSame(one: IdentityRow, other: IdentityRow | undefined): boolean {
  return one.provider === other?.provider && one.subject === other.subject;
}

function standingBy(verdict: Verdict): Standing {
  if (verdict === 'admitted') return verdict;
  return verdict === 'refused' ? 'not-admitted' : 'sign-in-again';
}

const now = (): number => Math.floor(Date.now() / 1000);
