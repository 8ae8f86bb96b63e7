CREATE TABLE "event_chain" (
	"one" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"seq" bigint NOT NULL,
	"hash" text NOT NULL,
	"base_seq" bigint NOT NULL,
	"base_hash" text NOT NULL,
	CONSTRAINT "event_chain_one" CHECK ("event_chain"."one")
);
--> statement-breakpoint
CREATE TABLE "events" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"kind" text NOT NULL,
	"account_id" uuid,
	"record" text NOT NULL,
	"hash" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "known_devices" (
	"account_id" uuid NOT NULL,
	"device_hash" text NOT NULL,
	"last_seen_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "known_devices_account_id_device_hash_pk" PRIMARY KEY("account_id","device_hash")
);
--> statement-breakpoint
CREATE TABLE "password_tries" (
	"key" text PRIMARY KEY NOT NULL,
	"tries" integer NOT NULL,
	"last_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "known_devices" ADD CONSTRAINT "known_devices_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "events_account" ON "events" USING btree ("account_id","seq");--> statement-breakpoint
CREATE INDEX "events_time" ON "events" USING btree ("at");--> statement-breakpoint
CREATE INDEX "known_devices_seen" ON "known_devices" USING btree ("last_seen_at");--> statement-breakpoint
CREATE INDEX "password_tries_expiry" ON "password_tries" USING btree ("expires_at");--> statement-breakpoint
INSERT INTO "event_chain" (seq, hash, base_seq, base_hash) VALUES (0, '', 0, '');--> statement-breakpoint
CREATE FUNCTION "append_events"(records text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	chain event_chain;
	entry text;
	moment timestamptz;
BEGIN
	SELECT * INTO STRICT chain FROM event_chain FOR UPDATE;
	FOREACH entry IN ARRAY records LOOP
		moment := date_trunc('milliseconds', clock_timestamp());
		chain.seq := chain.seq + 1;
		chain.hash := encode(sha256(convert_to(
			concat_ws(E'\n', chain.hash, chain.seq, (extract(epoch FROM moment) * 1000)::bigint, entry), 'UTF8')), 'hex');
		INSERT INTO events (seq, at, kind, account_id, record, hash)
		VALUES (chain.seq, moment, entry::jsonb ->> 'kind', (entry::jsonb ->> 'account')::uuid, entry, chain.hash);
	END LOOP;
	UPDATE event_chain SET seq = chain.seq, hash = chain.hash;
	RETURN chain.seq;
END $$;--> statement-breakpoint
CREATE FUNCTION "let_events_go"(before timestamptz, most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	newest events;
	gone integer;
BEGIN
	PERFORM 1 FROM event_chain FOR UPDATE;
	SELECT oldest.* INTO newest FROM (SELECT * FROM events ORDER BY seq LIMIT most) AS oldest
	WHERE oldest.at < before ORDER BY oldest.seq DESC LIMIT 1;
	IF NOT FOUND THEN
		RETURN 0;
	END IF;
	PERFORM set_config('gatehouse.lets_events_go', 'on', true);
	DELETE FROM events WHERE seq <= newest.seq;
	GET DIAGNOSTICS gone = ROW_COUNT;
	PERFORM set_config('gatehouse.lets_events_go', 'off', true);
	UPDATE event_chain SET base_seq = newest.seq, base_hash = newest.hash;
	RETURN gone;
END $$;--> statement-breakpoint
CREATE FUNCTION "refuse_event_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'DELETE' AND current_setting('gatehouse.lets_events_go', true) = 'on' THEN
		RETURN OLD;
	END IF;
	RAISE EXCEPTION 'events are only ever appended' USING ERRCODE = 'restrict_violation';
END $$;--> statement-breakpoint
CREATE TRIGGER "events_appended_only" BEFORE UPDATE OR DELETE ON "events" FOR EACH ROW
EXECUTE FUNCTION "refuse_event_change"();--> statement-breakpoint
CREATE TRIGGER "events_never_truncated" BEFORE TRUNCATE ON "events" FOR EACH STATEMENT
EXECUTE FUNCTION "refuse_event_change"();
