import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { seconds } from '../persistence/columns.js';

/** A `jti` of a DPoP proof or client assertion that has been used (RFC 9449 §11.1, RFC 7523 §3). */
@Entity('proof_id')
@Index('ix_proof_id_expiry', ['expiresAt'])
export class ProofIdRow {
  /** SHA-256 of issuer and `jti`. */
  @PrimaryColumn('text') id!: string;
  @Column({ name: 'expires_at', ...seconds }) expiresAt!: number;
}
