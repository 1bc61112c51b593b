import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { json, seconds } from '../persistence/columns.js';
import type { Identity } from '../providers/contract.js';

/** A person known here. */
@Entity('gatehouse_user')
export class UserRow {
  @PrimaryColumn('text') id!: string;
  @Column('text', { nullable: true }) name!: string | null;
  /** Verified by the provider of the latest sign-in; null: none. */
  @Column('text', { nullable: true }) email!: string | null;
  @Column('text', { nullable: true }) avatar!: string | null;
  /** Blocked: refused at login, at refresh and at the next request. */
  @Column('text') status!: 'active' | 'blocked';
  /** In force: those an administrator gave and those the rules gave. */
  @Column({ ...json }) roles!: string[];
  /** The part of `roles` that `GATEHOUSE_ADMINS` gave, and the next check may take back. */
  @Column({ name: 'rule_roles', ...json }) ruleRoles!: string[];
  @Column({ name: 'created_at', ...seconds }) createdAt!: number;
  @Column({ name: 'last_seen_at', ...seconds }) lastSeenAt!: number;
}

/** One account of a person at one provider. */
@Entity('identity')
@Index('ix_identity_user', ['userId'])
export class IdentityRow {
  /** Id of the provider instance. */
  @PrimaryColumn('text') provider!: string;
  /** Stable at that provider. */
  @PrimaryColumn('text') subject!: string;
  @Column('text', { name: 'user_id' }) userId!: string;
  /** For display only: it can change hands. */
  @Column('text', { nullable: true }) username!: string | null;
  @Column('text', { nullable: true }) email!: string | null;
  @Column({ name: 'created_at', ...seconds }) createdAt!: number;
  @Column({ name: 'last_used_at', ...seconds }) lastUsedAt!: number;
}

/** The row of an account that has just been proved; `at`: epoch seconds. */
export function identityRow(userId: string, identity: Identity, at: number): IdentityRow {
  const { provider, subject, username = null, email = null } = identity;
  return { provider, subject, userId, username, email, createdAt: at, lastUsedAt: at };
}
