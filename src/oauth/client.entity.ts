import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { json, seconds } from '../persistence/columns.js';

/** An MCP client application that may ask people for access. */
@Entity('oauth_client')
@Index('ix_oauth_client_used', ['source', 'lastUsedAt'])
export class ClientRow {
  /** Our random id, or the URL of a client ID metadata document. */
  @PrimaryColumn('text') id!: string;
  /** `dcr`: registered itself; `cimd`: a metadata document; `manual`: an administrator made it. */
  @Column('text') source!: 'dcr' | 'cimd' | 'manual';
  /** `pending` Clients stop at the login page, `blocked` ones are unknown to the engine. */
  @Column('text') status!: 'pending' | 'active' | 'blocked';
  @Column('text') name!: string;
  /** RFC 7591 members as the engine reads them; a secret only as SHA-256. */
  @Column({ ...json }) metadata!: Record<string, unknown>;
  /** SHA-256 of the registered metadata of a `none` client: identical registrations get this Client; null: has a secret, or was edited. */
  @Column('text', { name: 'fingerprint', nullable: true, unique: true }) fingerprint!: string | null;
  /** An administrator's remark. */
  @Column('text', { nullable: true }) note!: string | null;
  /** Scopes that it may be granted at most, set by an administrator; null: all. */
  @Column({ name: 'allowed_scopes', nullable: true, ...json }) allowedScopes!: string[] | null;
  /** An administrator approved it: its errors may redirect by themselves, and its unfamiliar redirect schemes are usable. */
  @Column('boolean') trusted!: boolean;
  /** Counts changes, for `If-Match`. */
  @Column('integer') version!: number;
  @Column({ name: 'created_at', ...seconds }) createdAt!: number;
  /** null: never used to sign in. */
  @Column({ name: 'last_used_at', nullable: true, ...seconds }) lastUsedAt!: number | null;
}
