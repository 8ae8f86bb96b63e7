CREATE TABLE "revocations" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "revocations_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"account_id" uuid NOT NULL,
	"session_id" uuid,
	"revoked_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"session_expires_at" timestamp (3) with time zone,
	"sliding" boolean NOT NULL
);
--> statement-breakpoint
CREATE INDEX "revocations_time" ON "revocations" USING btree ("revoked_at");--> statement-breakpoint
CREATE FUNCTION "announce"(news text) RETURNS void LANGUAGE sql AS $$
	SELECT pg_notify('gatehouse', news)
$$;--> statement-breakpoint
CREATE FUNCTION "announce_session"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' OR NEW.ended_at IS NOT NULL OR NEW.expires_at <= now() THEN
		INSERT INTO revocations (account_id, session_id, session_expires_at, sliding)
		VALUES (OLD.account_id, OLD.id, OLD.expires_at, OLD.sliding);
	END IF;
	PERFORM announce('session ' || OLD.id);
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION "announce_account"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'UPDATE' AND OLD.disabled_at IS NULL AND NEW.disabled_at IS NOT NULL THEN
		INSERT INTO revocations (account_id, session_expires_at, sliding)
		SELECT OLD.id, max(expires_at), count(*) = 0
		FROM sessions WHERE account_id = OLD.id AND ended_at IS NULL AND NOT sliding;
	END IF;
	PERFORM announce('account ' || OLD.id);
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION "announce_all"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM announce('all');
	RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "sessions_ended" AFTER UPDATE ON "sessions" FOR EACH ROW
WHEN (OLD.ended_at IS NULL AND (NEW.ended_at IS NOT NULL OR NEW.expires_at < OLD.expires_at
	OR NEW.account_id <> OLD.account_id OR NEW.token_hash <> OLD.token_hash))
EXECUTE FUNCTION "announce_session"();--> statement-breakpoint
CREATE TRIGGER "sessions_deleted" AFTER DELETE ON "sessions" FOR EACH ROW
WHEN (OLD.ended_at IS NULL AND OLD.expires_at > now())
EXECUTE FUNCTION "announce_session"();--> statement-breakpoint
CREATE TRIGGER "sessions_truncated" AFTER TRUNCATE ON "sessions" FOR EACH STATEMENT
EXECUTE FUNCTION "announce_all"();--> statement-breakpoint
CREATE TRIGGER "accounts_changed" AFTER UPDATE ON "accounts" FOR EACH ROW
WHEN (OLD.* IS DISTINCT FROM NEW.*)
EXECUTE FUNCTION "announce_account"();--> statement-breakpoint
CREATE TRIGGER "accounts_deleted" AFTER DELETE ON "accounts" FOR EACH ROW
EXECUTE FUNCTION "announce_account"();
