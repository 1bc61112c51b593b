import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { seconds } from '../persistence/columns.js';

/** One browser in which a person is signed in to the account page. */
@Entity('account_sign_in')
@Index('ix_account_sign_in_user', ['userId'])
@Index('ix_account_sign_in_expiry', ['expiresAt'])
export class AccountSignInRow {
  /** SHA-256 of the cookie's value. */
  @PrimaryColumn('text', { name: 'id_hash' }) idHash!: string;
  @Column('text', { name: 'user_id' }) userId!: string;
  /** Provider instance the person signed in with. */
  @Column('text') provider!: string;
  /** Sealed: the id_token of this sign-in, by which the provider knows what to end; null: it gave none. */
  @Column('text', { name: 'id_token', nullable: true }) idToken!: string | null;
  @Column({ name: 'created_at', ...seconds }) createdAt!: number;
  /** Of the latest request, to the minute. */
  @Column({ name: 'seen_at', ...seconds }) seenAt!: number;
  /** However busy it is. */
  @Column({ name: 'expires_at', ...seconds }) expiresAt!: number;
}
