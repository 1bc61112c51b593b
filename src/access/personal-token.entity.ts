import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { json, seconds } from '../persistence/columns.js';

/** A personal token: a bearer value that a person or an administrator made by hand. */
@Entity('personal_token')
@Index('ix_personal_token_user', ['userId', 'id'])
export class PersonalTokenRow {
  @PrimaryColumn('text') id!: string;
  /** SHA-256 of the whole token, base64url. */
  @Column('text', { unique: true }) hash!: string;
  /** Prefix and first four characters, to recognise it by. */
  @Column('text') hint!: string;
  @Column('text') name!: string;
  /** Whose it is; null: of this installation, made on the first start or by the command line. */
  @Column('text', { name: 'user_id', nullable: true }) userId!: string | null;
  @Column({ ...json }) scopes!: string[];
  @Column({ name: 'created_at', ...seconds }) createdAt!: number;
  /** null: never. */
  @Column({ name: 'expires_at', nullable: true, ...seconds }) expiresAt!: number | null;
  @Column({ name: 'last_used_at', nullable: true, ...seconds }) lastUsedAt!: number | null;
  @Column({ name: 'revoked_at', nullable: true, ...seconds }) revokedAt!: number | null;
}
