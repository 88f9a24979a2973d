package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/intake"
	"github.com/juncture/juncture/pool"
	"github.com/juncture/juncture/store"
)

func (a *app) applyCommand() *cobra.Command {
	var file string
	var approve bool
	c := &cobra.Command{Use: "apply -f store.yaml", Args: cobra.NoArgs,
		Short: "Bring the store to what a file declares, and print the difference",
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := readFile(file)
			if err != nil {
				return err
			}
			d, err := intake.ParseStoreFile(file, b, pool.RuleProblems)
			if err != nil {
				return err
			}
			return a.withDB(cmd.Context(), func(db *store.DB) error { return a.apply(cmd, db, d, approve) })
		}}
	c.Flags().StringVarP(&file, "file", "f", "", "the store file; - reads standard input")
	c.Flags().BoolVar(&approve, "approve", false, "approve every version of the file that waits for review, on record")
	if err := c.MarkFlagRequired("file"); err != nil {
		panic(err) // the flag was just declared
	}
	return c
}

// maxFile bounds what apply reads.
const maxFile = 8 << 20

func readFile(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(os.Stdin, maxFile))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

func (a *app) apply(cmd *cobra.Command, db *store.DB, d *juncture.Declaration, approve bool) error {
	change, err := applyTo(cmd.Context(), db, d, approve, actor(), a.now())
	if err != nil {
		return err
	}
	if change.Empty() {
		fmt.Fprintln(a.out, "nothing to change")
		return nil
	}
	for _, line := range change.Lines {
		fmt.Fprintln(a.out, line)
	}
	if waiting := len(change.Add) - len(change.Review); waiting > 0 && !approve {
		fmt.Fprintf(a.out, "%d versions wait for review; apply --approve approves them\n", waiting)
	}
	return nil
}

func (a *app) keysCommand() *cobra.Command {
	c := &cobra.Command{Use: "keys", Short: "API keys: create, list, revoke; rotate the key that signs decision ids"}
	var name, scopes, origins string
	var publishable bool
	create := &cobra.Command{Use: "create", Args: cobra.NoArgs, Short: "Make an API key; its secret is printed last, once",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []access.Scope
			for _, s := range fields(scopes) {
				list = append(list, access.Scope(s))
			}
			k, secret, err := access.NewKey(name, list, publishable, fields(origins), a.now(), a.random())
			if err != nil {
				return err
			}
			return a.withDB(cmd.Context(), func(db *store.DB) error {
				if err := db.CreateKey(cmd.Context(), k, access.KeyNote(cliWho(), k, a.now())); err != nil {
					return err
				}
				fmt.Fprintf(a.out, "key %s (%s), scopes %s; keep the secret, it is not shown again:\n%s\n", k.ID, k.Name, scopes, secret)
				return nil
			})
		}}
	create.Flags().StringVar(&name, "name", "", "what people call it")
	create.Flags().StringVar(&scopes, "scopes", "", "comma-separated: choose, reward, events, read, edit, approve, admin")
	create.Flags().StringVar(&origins, "origins", "", "comma-separated origins of a publishable key, such as https://shop.example")
	create.Flags().BoolVar(&publishable, "publishable", false, "for web pages: may choose, reward and send events from its origins")
	list := &cobra.Command{Use: "list", Args: cobra.NoArgs, Short: "List the API keys",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDB(cmd.Context(), func(db *store.DB) error {
				keys, err := db.Keys(cmd.Context())
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tNAME\tSCOPES\tCREATED\tSTATE")
				for _, k := range keys {
					state := "live"
					if !k.RevokedAt.IsZero() {
						state = "revoked " + k.RevokedAt.Format(time.RFC3339)
					} else if k.Publishable {
						state = "live, publishable for " + strings.Join(k.Origins, " ")
					}
					var scopes []string
					for _, s := range k.Scopes {
						scopes = append(scopes, string(s))
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, strings.Join(scopes, ","), k.CreatedAt.Format(time.RFC3339), state)
				}
				return w.Flush()
			})
		}}
	revoke := &cobra.Command{Use: "revoke ID", Args: cobra.ExactArgs(1), Short: "End an API key, within a second on every node",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDB(cmd.Context(), func(db *store.DB) error {
				if err := db.RevokeKey(cmd.Context(), args[0], a.now(), access.RevokeNote(cliWho(), args[0], a.now())); err != nil {
					return err
				}
				fmt.Fprintln(a.out, "revoked", args[0])
				return nil
			})
		}}
	rotate := &cobra.Command{Use: "rotate", Args: cobra.NoArgs, Short: "Sign decision ids with a new key; ids signed before stay good",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDB(cmd.Context(), func(db *store.DB) error {
				if _, err := db.Secrets(cmd.Context(), a.random(), a.now()); err != nil {
					return err
				}
				id, err := db.RotateSigningKey(cmd.Context(), a.random(), a.now(), a.note("rotate", "signing key", nil))
				if err != nil {
					return err
				}
				fmt.Fprintf(a.out, "decision ids are now signed with key %d\n", id)
				return nil
			})
		}}
	c.AddCommand(create, list, revoke, rotate)
	return c
}

func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func (a *app) usersCommand() *cobra.Command {
	c := &cobra.Command{Use: "users", Short: "People of the console: create, list, passwd, disable"}
	service := func(db *store.DB) *access.Service { return access.NewService(db, db, a.random(), access.Options{}) }
	var name, role, password string
	create := &cobra.Command{Use: "create", Args: cobra.NoArgs, Short: "Make a user; without --password one is made up and printed last, once",
		RunE: func(cmd *cobra.Command, _ []string) error {
			made := password == ""
			if made {
				var err error
				if password, err = access.GeneratePassword(a.random()); err != nil {
					return err
				}
			}
			return a.withDB(cmd.Context(), func(db *store.DB) error {
				u, err := service(db).AddUser(cmd.Context(), cliWho(), name, access.Role(role), password, a.now())
				if err != nil {
					return err
				}
				fmt.Fprintf(a.out, "user %s, %s\n", u.Name, u.Role)
				if made {
					fmt.Fprintf(a.out, "password, not shown again:\n%s\n", password)
				}
				return nil
			})
		}}
	create.Flags().StringVar(&name, "name", "", "name to sign in with")
	create.Flags().StringVar(&role, "role", string(access.RoleViewer), "viewer, editor, approver or admin")
	create.Flags().StringVar(&password, "password", "", "at least 10 characters; others on the machine may see it in the process list")
	list := &cobra.Command{Use: "list", Args: cobra.NoArgs, Short: "List the users",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDB(cmd.Context(), func(db *store.DB) error {
				users, err := db.Users(cmd.Context())
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "NAME\tROLE\tCREATED\tSTATE")
				for _, u := range users {
					state := "live"
					if !u.DisabledAt.IsZero() {
						state = "disabled"
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", u.Name, u.Role, u.CreatedAt.Format(time.RFC3339), state)
				}
				return w.Flush()
			})
		}}
	passwd := &cobra.Command{Use: "passwd NAME", Args: cobra.ExactArgs(1), Short: "Set a new password, made up and printed once",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := access.GeneratePassword(a.random())
			if err != nil {
				return err
			}
			return a.withDB(cmd.Context(), func(db *store.DB) error {
				if err := service(db).SetPassword(cmd.Context(), cliWho(), args[0], p, a.now()); err != nil {
					return err
				}
				fmt.Fprintf(a.out, "password, not shown again:\n%s\n", p)
				return nil
			})
		}}
	disable := &cobra.Command{Use: "disable NAME", Args: cobra.ExactArgs(1), Short: "End a user's access",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDB(cmd.Context(), func(db *store.DB) error {
				if err := service(db).DisableUser(cmd.Context(), cliWho(), args[0], a.now()); err != nil {
					return err
				}
				fmt.Fprintln(a.out, "disabled", args[0])
				return nil
			})
		}}
	c.AddCommand(create, list, passwd, disable)
	return c
}

func (a *app) auditCommand() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "The log of who changed what: verify, export"}
	c.AddCommand(&cobra.Command{Use: "verify", Args: cobra.NoArgs, Short: "Prove that no entry was changed or taken out",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withExisting(cmd.Context(), func(db *store.DB) error {
				head, err := db.AuditHead(cmd.Context())
				if err != nil {
					return err
				}
				n, last, err := audit.VerifyTo(head, db.Audit(cmd.Context()))
				if err != nil {
					return err
				}
				fmt.Fprintf(a.out, "%d entries, unbroken\n", n)
				if n > 0 {
					fmt.Fprintf(a.out, "the last is %d with the hash %x: kept elsewhere, it shows that nobody wrote the log anew\n", last.Seq, last.Hash)
				}
				return nil
			})
		}}, &cobra.Command{Use: "export", Args: cobra.NoArgs, Short: "Print the log as NDJSON",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withExisting(cmd.Context(), func(db *store.DB) error {
				enc := json.NewEncoder(a.out)
				for e, err := range db.Audit(cmd.Context()) {
					if err != nil {
						return err
					}
					if err := enc.Encode(e); err != nil {
						return err
					}
				}
				return nil
			})
		}})
	return c
}

func (a *app) migrateCommand() *cobra.Command {
	return &cobra.Command{Use: "migrate", Args: cobra.NoArgs, Short: "Bring the database's schema up to date (every command does)",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDB(cmd.Context(), func(db *store.DB) error {
				fmt.Fprintln(a.out, "the schema is up to date")
				return nil
			})
		}}
}

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{Use: "verify", Args: cobra.NoArgs, Short: "Recompute every tally from the ledger and compare; exit 1 when they differ",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withExisting(cmd.Context(), func(db *store.DB) error {
				v, err := db.Verify(cmd.Context())
				if err != nil {
					return err
				}
				fmt.Fprintf(a.out, "%d decisions, %d outcomes, %d cells, %d enrolled shoppers, digest %s\n", v.Decisions, v.Outcomes, v.Cells, v.Units, v.Digest)
				for _, d := range v.Differences {
					fmt.Fprintln(a.out, "differs:", d)
				}
				for _, d := range v.Rollups {
					fmt.Fprintln(a.out, "differs:", d)
				}
				if n := len(v.Differences) + len(v.Rollups); n > 0 {
					return fmt.Errorf("%d tallies and rollups differ from the ledger", n)
				}
				fmt.Fprintln(a.out, "every tally and rollup is the fold of the ledger")
				return nil
			})
		}}
}

func (a *app) exportCommand() *cobra.Command {
	c := &cobra.Command{Use: "export", Short: "Print what the store holds"}
	c.AddCommand(&cobra.Command{Use: "ledger", Args: cobra.NoArgs,
		Short: "Per decision D, its id, its outcomes; per arm A, its name, trials, outcomes; tab-separated",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withExisting(cmd.Context(), func(db *store.DB) error { return db.ExportLedger(cmd.Context(), a.out) })
		}}, a.exportShopperCommand())
	c.AddCommand(a.exportLogCommands()...)
	return c
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Args: cobra.NoArgs, Short: "Print the version",
		Run: func(*cobra.Command, []string) { fmt.Fprintln(a.out, version) }}
}

// seeded is a stream of bytes from a seed, for tests alone.
func seeded(seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}
