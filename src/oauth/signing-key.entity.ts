import { Column, Entity, PrimaryColumn } from 'typeorm';
import { seconds } from '../persistence/columns.js';

/** A key that signs ID tokens; private part sealed. */
@Entity('signing_key')
export class SigningKeyRow {
  @PrimaryColumn('text') kid!: string;
  @Column('text') alg!: string;
  /** `newest` on exactly one row, null on older ones: two nodes cannot both add a key. */
  @Column('text', { nullable: true, unique: true }) slot!: 'newest' | null;
  /** Sealed private JWK. */
  @Column('text') sealed!: string;
  @Column({ name: 'created_at', ...seconds }) createdAt!: number;
  /** Published before, signs from here on, so that every cache has seen it. */
  @Column({ name: 'signs_from', ...seconds }) signsFrom!: number;
  /** Published until here; null: no successor yet. */
  @Column({ name: 'expires_at', nullable: true, ...seconds }) expiresAt!: number | null;
}
