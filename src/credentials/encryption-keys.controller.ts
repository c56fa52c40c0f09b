import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { IsOptional, IsString, Length } from 'class-validator';

import type { Ctx } from '../common/ctx.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import {
  KeyRotationService,
  type EncryptionKeyView,
  type RotatedKey,
} from './key-rotation.service.js';

class RotateDto {
  /** Id or name; default: all tenants. */
  @IsOptional()
  @IsString()
  @Length(1, 200)
  tenant?: string;
}

/** For operators: the data keys that tenants' credentials are sealed with. */
@Controller('api/admin/encryption-keys')
@Requires('tenant.manage')
export class EncryptionKeysController {
  constructor(private readonly rotation: KeyRotationService) {}

  @Get()
  async list(@Caller() ctx: Ctx): Promise<{ keys: EncryptionKeyView[]; next_cursor: null }> {
    return { keys: await this.rotation.listKeys(ctx), next_cursor: null };
  }

  /** 202: credentials are sealed anew in the background. */
  @Post('rotate')
  @HttpCode(202)
  async rotate(@Caller() ctx: Ctx, @Body() body?: RotateDto): Promise<{ rotated: RotatedKey[] }> {
    return { rotated: await this.rotation.rotate(ctx, body?.tenant) };
  }
}
