import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { PluginsModule } from '../plugins/plugins.module.js';
import { TenancyModule } from '../tenancy/tenancy.module.js';
import { CredentialResolver } from './credential-resolver.js';
import { CredentialSecrets } from './credential-secrets.js';
import { CredentialStore } from './credential-store.js';
import { Credential } from './credential.entity.js';
import { CredentialsController } from './credentials.controller.js';
import { CredentialsService } from './credentials.service.js';
import { EncryptionKeysController } from './encryption-keys.controller.js';
import { KeyRotationService } from './key-rotation.service.js';
import { Resealing } from './resealing.js';
import { KEY_WRAPPER } from './vault/key-wrapper.js';
import { LocalKeyWrapper } from './vault/local-key-wrapper.js';
import { SecretBox } from './vault/secret-box.js';
import { TenantKey } from './vault/tenant-key.entity.js';
import { TenantKeys } from './vault/tenant-keys.js';
import { Vault } from './vault/vault.js';

@Module({
  imports: [TypeOrmModule.forFeature([Credential, TenantKey]), TenancyModule, PluginsModule],
  controllers: [CredentialsController, EncryptionKeysController],
  providers: [
    CredentialResolver,
    CredentialSecrets,
    CredentialsService,
    CredentialStore,
    KeyRotationService,
    Resealing,
    TenantKeys,
    Vault,
    { provide: SecretBox, useFactory: () => new SecretBox() },
    { provide: KEY_WRAPPER, useClass: LocalKeyWrapper },
  ],
  exports: [CredentialResolver],
})
export class CredentialsModule {}
